import type { Target } from '../quant/index.ts'
import { qnn } from './qnn.ts'

/** Qualcomm's SNPE on DSP and HTP, the runtime before QNN. Facts and sources: docs/targets/snpe.md. */
export const snpe: Target = {
  ...qnn,
  name: 'snpe',
  title: 'Qualcomm SNPE',
  source: 'docs/targets/snpe.md',
  weights: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  bits: { weights: [8], activations: [8, 16] },
  kernels: { activations: ['uint8', 'uint16'], weights: ['uint8', 'uint16'] },
  exporters: ['snpe', 'qdq', 'json'],
}
