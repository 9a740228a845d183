import type { OpRule, Target } from '../quant/index.ts'
import { CLIPS, each, fuse, INTEGER, MOVES, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

const ONE_SCALE = { granularity: 'tensor' } as const
const INPUT: OpRule = { mode: 'integer', align: 'input' }

/** Qualcomm's HTP through QNN (AI Engine Direct). Facts and sources: docs/targets/qnn.md. */
export const qnn: Target = {
  name: 'qnn',
  title: 'Qualcomm HTP (QNN)',
  source: 'docs/targets/qnn.md',
  evidence: 'documentation',
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'channel' },
  bias: { bits: 32 },
  // w8a8, w8a16 and w4a16; w4a8 computes as well.
  bits: { weights: [4, 8], activations: [8, 16] },
  kernels: { activations: ['uint8', 'uint16'], weights: ['int8', 'int4', 'uint8', 'uint16'] },
  rounding: 'half-even',
  dispatch: 'listed',
  fallback: 'none',
  ops: {
    ...each(INTEGER, ['Conv', 'ConvTranspose']),
    Gemm: { ...PLAIN_GEMM, weights: ONE_SCALE },
    MatMul: { mode: 'integer', dynamicWeight: true, weights: ONE_SCALE },
    ...each(INTEGER, ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow', 'Where']),
    ...each(INTEGER, ['Relu', 'Clip', 'LeakyRelu', 'PRelu', 'Elu', 'HardSwish', 'HardSigmoid', 'Gelu', 'Softplus']),
    ...each(INTEGER, ['Sigmoid', 'Tanh', 'Softmax', 'LogSoftmax', 'Exp', 'Log', 'Sqrt', 'Abs', 'Neg']),
    ...each(INTEGER, ['AveragePool', 'GlobalAveragePool', 'ReduceMean', 'ReduceSum', 'LpNormalization']),
    ...each(INTEGER, ['BatchNormalization', 'LayerNormalization', 'InstanceNormalization', 'GroupNormalization']),
    Concat: { mode: 'integer', align: 'output' },
    ...each(INPUT, ['Pad', 'Resize']),
    ...each(MOVES, ['MaxPool', 'GlobalMaxPool', 'ReduceMax', 'ReduceMin', ...RESHAPES, ...REORDERS, 'GatherND']),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Add', 'Mul'], CLIPS, 'codes'),
  minOpset: 13,
  exporters: ['aimet-0.6.1', 'aimet-1.0.0', 'qdq', 'json'],
}
