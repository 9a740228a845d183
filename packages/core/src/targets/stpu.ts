import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, RESHAPES } from './rows.ts'

/** SenseTime's STPU as MQBench deploys to it. docs/targets/stpu.md. */
export const stpu: Target = {
  name: 'stpu',
  title: 'STPU',
  source: 'docs/targets/stpu.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  bias: { bits: 32 },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  constants: 'float',
  dispatch: 'listed',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each(INTEGER, ['Add', 'Mul', 'AveragePool', 'GlobalAveragePool']),
    Concat: { mode: 'integer', share: 'all-inputs' },
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, RESHAPES),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['stpu', 'json'],
}
