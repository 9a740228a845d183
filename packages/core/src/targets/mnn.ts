import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, PLAIN_GEMM } from './rows.ts'

/** Alibaba MNN's offline quantization. docs/targets/mnn.md. */
export const mnn: Target = {
  name: 'mnn',
  title: 'MNN',
  source: 'docs/targets/mnn.md',
  evidence: 'engine',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-away',
  reciprocal: true,
  dispatch: 'listed',
  ops: {
    Conv: INTEGER,
    Gemm: PLAIN_GEMM,
    Add: { mode: 'integer', readBy: 'product' },
    ...each({ mode: 'integer', align: 'input', readBy: 'no-product' }, ['AveragePool', 'GlobalAveragePool']),
  },
  fuse: [...fuse(['Conv', 'Gemm'], ['Relu', 'Clip']), ...fuse(['Add'], ['Relu'])],
  minOpset: 13,
  exporters: ['mnn', 'json'],
}
