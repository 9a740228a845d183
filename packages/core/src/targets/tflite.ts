import type { OpRule, Target } from '../quant/index.ts'
import { CLIPS, each, fuse, INTEGER, MOVES, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

const ONE_SCALE = { granularity: 'tensor' } as const
const INPUT: OpRule = { mode: 'integer', align: 'input' }
const OUTPUT: OpRule = { mode: 'integer', align: 'output' }
const UNIT: OpRule = { mode: 'integer', fixedOutput: { scale: 1 / 256, zeroPoint: -128 } }

/** LiteRT (TensorFlow Lite), full integer int8. Facts and sources: docs/targets/tflite.md. */
export const tflite: Target = {
  name: 'tflite',
  title: 'LiteRT (TensorFlow Lite), int8',
  source: 'docs/targets/tflite.md',
  evidence: 'engine',
  activations: { bits: 8, signed: true, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bias: { bits: 32 },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  dispatch: 'listed',
  fallback: 'none',
  rewrites: ['batchnorm-to-conv'],
  ops: {
    ...each(INTEGER, ['Conv', 'ConvTranspose']),
    Gemm: { ...PLAIN_GEMM, weights: ONE_SCALE },
    MatMul: { mode: 'integer', dynamicWeight: true, weights: ONE_SCALE },
    ...each(INTEGER, ['Add', 'Sub', 'Mul', 'Relu', 'Clip', 'LeakyRelu', 'PRelu', 'HardSwish', 'Elu']),
    ...each(INTEGER, ['GlobalAveragePool', 'ReduceMean', 'ReduceSum']),
    ...each(UNIT, ['Softmax', 'Sigmoid']),
    Tanh: { mode: 'integer', fixedOutput: { scale: 1 / 128, zeroPoint: 0 } },
    LogSoftmax: { mode: 'integer', fixedOutput: { scale: 16 / 256, zeroPoint: 127 } },
    ...each(INPUT, ['AveragePool', 'Pad', 'Resize']),
    ...each(OUTPUT, ['Concat', 'Max', 'Min']),
    ...each(MOVES, ['MaxPool', 'GlobalMaxPool', 'ReduceMax', ...RESHAPES, ...REORDERS, 'GatherND']),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add', 'Sub', 'Mul'], CLIPS, 'accumulator'),
  minOpset: 13,
  exporters: ['tflite', 'qdq', 'json'],
}
