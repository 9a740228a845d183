import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** OPEN AI LAB Tengine, uint8 mode: one affine scale for every tensor, weights among them. docs/targets/tengine.md. */
export const tengine: Target = {
  name: 'tengine',
  title: 'Tengine uint8',
  source: 'docs/targets/tengine.md',
  evidence: 'literature',
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  bias: { bits: 32 },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['uint8'], weights: ['uint8'] },
  rounding: 'half-even',
  dispatch: 'listed',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each(INTEGER, [
      'Add',
      'Mul',
      'Sub',
      'AveragePool',
      'GlobalAveragePool',
      'Concat',
      'HardSwish',
      'Sigmoid',
      'LeakyRelu',
    ]),
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'Gemm'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['tengine', 'json'],
}
