import type { Target } from '../quant/index.ts'
import { fuse, INTEGER, PLAIN_GEMM } from './rows.ts'

/** Tencent ncnn: only what convolutions and inner products read. docs/targets/ncnn.md. */
export const ncnn: Target = {
  name: 'ncnn',
  title: 'ncnn',
  source: 'docs/targets/ncnn.md',
  evidence: 'engine',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  // float2int8 rounds with C's round() what it has multiplied by the table's scale, 127 / absmax.
  rounding: 'half-away',
  reciprocal: true,
  points: 'inputs',
  dispatch: 'listed',
  ops: {
    // The Winograd form adds up to 36 products of 8 bits in 16, so that ncnn2table gives those weights 6 bits.
    Conv: { mode: 'integer', weightsOf: { kernel: [3, 3], rule: { codes: [-31, 31] } } },
    Gemm: PLAIN_GEMM,
    MatMul: INTEGER,
  },
  fuse: fuse(['Conv', 'Gemm'], ['Relu', 'Clip', 'LeakyRelu', 'Sigmoid', 'Mish', 'HardSwish']),
  minOpset: 13,
  exporters: ['ncnn', 'json'],
}
