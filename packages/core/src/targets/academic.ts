import type { Target } from '../quant/index.ts'
import { INTEGER, PLAIN_GEMM } from './rows.ts'

/**
 * The setting of most papers on low bits: only what convolutions and fully connected layers read is quantized, and the first and last of
 * them keep 8 bits. No hardware computes like this, which is why results must not be compared with deployable targets. Source and
 * differences: docs/targets/academic.md.
 */
export const academic: Target = {
  name: 'academic',
  title: 'the academic setting',
  source: 'docs/targets/academic.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', unsignedWherePossible: true },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'tensor' },
  bits: { weights: [1, 2, 3, 4, 5, 6, 7, 8, 16], activations: [2, 3, 4, 5, 6, 7, 8, 16] },
  kernels: {
    activations: ['int2', 'uint2', 'int4', 'uint4', 'int8', 'uint8', 'int16', 'uint16'],
    // uint2 holds the sign of binary weights.
    weights: ['uint2', 'int2', 'int4', 'int8', 'int16'],
  },
  rounding: 'half-even',
  points: 'inputs',
  dispatch: 'listed',
  edgeBits: 8,
  formats: 'any',
  batchNorm: 'separate',
  ops: { Conv: INTEGER, ConvTranspose: INTEGER, Gemm: PLAIN_GEMM, MatMul: INTEGER },
  fuse: [],
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
