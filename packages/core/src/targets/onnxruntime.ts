import type { Target } from '../quant/index.ts'
import { CLIPS, each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, RESHAPES } from './rows.ts'

/** ONNX Runtime removes a Relu or Clip behind any of these once the quantizer clips as it does. */
const CLIP_HOSTS = [
  'Conv',
  'Gemm',
  'MatMul',
  'Add',
  'Mul',
  'AveragePool',
  'GlobalAveragePool',
  'Concat',
  'Where',
] as const

/**
 * ONNX Runtime on CPU, QDQ form: which node groups its optimizer turns into integer kernels. Facts, sources and the
 * experiment behind each row: docs/targets/onnxruntime.md.
 */
export const onnxruntime: Target = {
  name: 'onnxruntime',
  title: 'ONNX Runtime CPU',
  source: 'docs/targets/onnxruntime.md',
  evidence: 'engine',
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bias: { bits: 32 },
  // Weights of 2 bits would be int2, which no kernel of ONNX Runtime 1.30 takes.
  bits: { weights: [3, 4, 5, 6, 7, 8], activations: [4, 8, 16] },
  kernels: { activations: ['uint8', 'int8'], weights: ['int8', 'uint8'] },
  rounding: 'half-even',
  ops: {
    // Its GEMM works on 16 channels at a time, and one input channel leaves nothing to sum (docs, "Small layers").
    Conv: { mode: 'integer', minChannels: { inputs: 2, outputs: 16 } },
    // Scales of the other operand's last axis only; three and more axes with a scale each fail when the kernel runs.
    MatMul: { mode: 'integer', floatOutput: true, dynamicWeight: true, perChannelRank: 2 },
    Gemm: { ...PLAIN_GEMM, floatOutput: true },
    ...each(INTEGER, ['Add', 'Mul', 'AveragePool', 'GlobalAveragePool', 'Sigmoid', 'LeakyRelu', 'Softmax', 'Where']),
    Concat: { mode: 'integer', share: 'all-inputs' },
    ...each(MOVES, ['MaxPool', 'ReduceMax', 'ReduceMin', ...RESHAPES, 'Transpose', 'Slice', 'Split']),
    ...each(MOVES, ['Gather', 'GatherElements', 'Expand', 'Tile', 'DepthToSpace']),
    Resize: MOVES_NEAREST,
    ConvTranspose: { mode: 'float', why: 'ONNX Runtime CPU has no integer kernel for ConvTranspose' },
    Relu: { mode: 'float', why: 'no integer kernel runs right before it that could absorb it' },
    Clip: { mode: 'float', why: 'no integer kernel runs right before it that could absorb it' },
  },
  fuse: fuse(CLIP_HOSTS, CLIPS, 'codes'),
  minOpset: 13,
  engine: 'onnxruntime',
  exporters: ['qdq', 'qoperator', 'dynamic', 'json'],
}
