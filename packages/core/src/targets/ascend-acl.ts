import type { Target } from '../quant/index.ts'
import { fuse, INTEGER, PLAIN_GEMM } from './rows.ts'

/** Huawei Ascend through its compression toolkit AMCT, which records what the inputs of four operators need. docs/targets/ascend-acl.md. */
export const ascendAcl: Target = {
  name: 'ascend-acl',
  title: 'Huawei Ascend (ACL)',
  source: 'docs/targets/ascend-acl.md',
  evidence: 'documentation',
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'channel' },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['uint8'], weights: ['int8'] },
  rounding: 'half-away',
  points: 'inputs',
  dispatch: 'listed',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: { ...PLAIN_GEMM, weights: { granularity: 'tensor' } },
    MatMul: { mode: 'integer', weights: { granularity: 'tensor' } },
    AveragePool: INTEGER,
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['ascend', 'json'],
}
