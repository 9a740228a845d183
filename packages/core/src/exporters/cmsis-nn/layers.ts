import type { OperatorName } from '../tflite/schema.ts'
import { add, clip, extremum, mul, softmax } from './elementwise.ts'
import type { Emit } from './layer.ts'
import { blocks, concatenation, gather, pad, slice, split, transpose } from './movement.ts'
import { mean, pool } from './pooling.ts'
import { conv, depthwise, fullyConnected } from './products.ts'

/** The function of CMSIS-NN for each operator, and what it takes. */
export const LAYERS: Readonly<Partial<Record<OperatorName, Emit>>> = {
  CONV_2D: conv,
  DEPTHWISE_CONV_2D: depthwise,
  FULLY_CONNECTED: fullyConnected,
  ADD: add,
  MUL: mul,
  MAX_POOL_2D: pool('arm_max_pool_s8'),
  AVERAGE_POOL_2D: pool('arm_avgpool_s8'),
  MEAN: mean,
  SOFTMAX: softmax,
  CONCATENATION: concatenation,
  TRANSPOSE: transpose,
  PAD: pad,
  PADV2: pad,
  MAXIMUM: extremum('arm_maximum_s8'),
  MINIMUM: extremum('arm_minimum_s8'),
  RELU: clip,
  RELU6: clip,
  STRIDED_SLICE: slice,
  GATHER: gather,
  SPLIT: split(0),
  SPLIT_V: split(2),
  DEPTH_TO_SPACE: blocks,
  SPACE_TO_DEPTH: blocks,
  RESHAPE: () => ({ call: 'none: the same bytes under another shape', lines: [] }),
}
