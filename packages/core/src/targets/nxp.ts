import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** NXP NPUs that shift. docs/targets/nxp.md. */
export const nxp: Target = {
  name: 'nxp',
  title: 'NXP NPU (power-of-two scales)',
  source: 'docs/targets/nxp.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' },
  weights: {
    bits: 8,
    signed: true,
    symmetric: true,
    granularity: 'channel',
    powerOfTwo: 'ceil',
    rounding: 'half-away',
  },
  bias: { bits: 31, powerOfTwo: 'ceil' },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-up',
  dispatch: 'conservative',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each(INTEGER, ['Add', 'Mul', 'AveragePool', 'GlobalAveragePool']),
    Concat: { mode: 'integer', align: 'output' },
    MaxPool: MOVES,
    // The converter replaces interpolating Resize by nearest, so that nothing else is offered.
    Resize: { ...MOVES, attrs: { mode: ['nearest'] } },
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['nxp', 'json'],
}
