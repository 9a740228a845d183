import { batchNormalization, binary, clip, sigmoid, softmax, tanh, unary } from './elementwise.ts'
import { concat, gather, identity, pad, reshape, slice, split, transpose } from './layout.ts'
import { averagePool, depthToSpace, globalAveragePool, maxPool, reduceMean, resize, spaceToDepth } from './pooling.ts'
import { conv, gemm, matmul } from './products.ts'
import type { Translate } from './task.ts'

/** How each ONNX operator is written in TFLite. */
export const TRANSLATIONS: Readonly<Record<string, Translate>> = {
  Conv: conv,
  Gemm: gemm,
  MatMul: matmul,
  Add: binary('ADD'),
  Sub: binary('SUB'),
  Mul: binary('MUL'),
  Max: binary('MAXIMUM'),
  Min: binary('MINIMUM'),
  Relu: clip,
  Clip: clip,
  LeakyRelu: unary('LEAKY_RELU', ({ attrs }) => ({ alpha: attrs.alpha as number })),
  HardSwish: unary('HARD_SWISH'),
  Sigmoid: sigmoid,
  Tanh: tanh,
  Softmax: softmax,
  BatchNormalization: batchNormalization,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  ReduceMean: reduceMean,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Resize: resize,
  Concat: concat,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Identity: identity,
  Dropout: identity,
  Pad: pad,
  Slice: slice,
  Split: split,
  Gather: gather,
}
