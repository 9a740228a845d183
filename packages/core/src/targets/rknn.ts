import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** Rockchip NPUs (RKNN toolkit 2, `asymmetric_quantized-8`, method `channel`). docs/targets/rknn.md. */
export const rknn: Target = {
  name: 'rknn',
  title: 'Rockchip RKNN',
  source: 'docs/targets/rknn.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: false, granularity: 'tensor' },
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
    MatMul: INTEGER,
    ...each(INTEGER, [
      'Add',
      'Mul',
      'Sub',
      'AveragePool',
      'GlobalAveragePool',
      'Sigmoid',
      'HardSwish',
      'LeakyRelu',
      'PRelu',
    ]),
    Concat: { mode: 'integer', align: 'output' },
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip', 'LeakyRelu', 'Sigmoid']),
  minOpset: 13,
  exporters: ['rknn', 'json'],
}
