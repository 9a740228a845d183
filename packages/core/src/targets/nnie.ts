import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, RESHAPES } from './rows.ts'

const LOGARITHM = { kind: 'log2' } as const

/** HiSilicon NNIE: sign and logarithm in steps of 2^(1/16). docs/targets/nnie.md. */
export const nnie: Target = {
  name: 'nnie',
  title: 'HiSilicon NNIE',
  source: 'docs/targets/nnie.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', format: LOGARITHM },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', format: LOGARITHM },
  bits: { weights: [8], activations: [8] },
  // Sign and logarithm are stored as bits, not as a number.
  kernels: { activations: ['uint8'], weights: ['uint8'] },
  rounding: 'half-even',
  points: 'inputs',
  constants: 'float',
  dispatch: 'listed',
  ops: {
    Conv: { mode: 'integer', attrs: { group: [1] } },
    ConvTranspose: { mode: 'integer', attrs: { group: [1] } },
    Gemm: PLAIN_GEMM,
    Add: INTEGER,
    AveragePool: INTEGER,
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, RESHAPES),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm'], ['Relu', 'Clip', 'PRelu']),
  minOpset: 13,
  exporters: ['nnie', 'json'],
}
