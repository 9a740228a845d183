import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** MetaX GPUs, the form with a scale for each output channel. docs/targets/metax.md. */
export const metax: Target = {
  name: 'metax',
  title: 'MetaX',
  source: 'docs/targets/metax.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bias: { bits: 30 },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  dispatch: 'conservative',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    MatMul: { mode: 'integer', dynamicWeight: true },
    ...each(INTEGER, ['Add', 'Mul', 'AveragePool', 'GlobalAveragePool', 'Sigmoid', 'LeakyRelu']),
    Concat: { mode: 'integer', share: 'all-inputs' },
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip', 'Sigmoid', 'Swish', 'LeakyRelu']),
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
