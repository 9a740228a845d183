import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** OpenPPL on CUDA: integers between convolutions, symmetric. docs/targets/ppl-cuda.md. */
export const pplCuda: Target = {
  name: 'ppl-cuda',
  title: 'OpenPPL CUDA',
  source: 'docs/targets/ppl-cuda.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bias: { bits: 32 },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  dispatch: 'conv-to-conv',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each(INTEGER, ['Add', 'Mul', 'Sub', 'AveragePool', 'GlobalAveragePool', 'LeakyRelu', 'Sigmoid']),
    Concat: { mode: 'integer', share: 'all-inputs' },
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip', 'Sigmoid', 'LeakyRelu']),
  minOpset: 13,
  exporters: ['ppl', 'json'],
}
