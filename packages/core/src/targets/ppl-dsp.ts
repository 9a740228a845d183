import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** OpenPPL on DSPs: affine, one scale for each tensor, weights among them. docs/targets/ppl-dsp.md. */
export const pplDsp: Target = {
  name: 'ppl-dsp',
  title: 'OpenPPL DSP',
  source: 'docs/targets/ppl-dsp.md',
  evidence: 'literature',
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  bias: { bits: 30 },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['uint8'], weights: ['uint8'] },
  rounding: 'half-even',
  dispatch: 'conservative',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each({ mode: 'integer', align: 'large' }, ['Add', 'Sub']),
    ...each(INTEGER, ['Mul', 'AveragePool', 'GlobalAveragePool', 'Sigmoid']),
    Concat: { mode: 'integer', align: 'output' },
    MaxPool: MOVES,
    Resize: { ...MOVES_NEAREST, align: 'output' },
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['ppl', 'json'],
}
