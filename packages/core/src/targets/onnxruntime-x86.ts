import type { Target } from '../quant/index.ts'
import { onnxruntime } from './onnxruntime.ts'

/**
 * ONNX Runtime on x86 CPUs without VNNI, whose kernels add two products of uint8 and int8 in 16 saturating bits. Weights of 7 bits
 * cannot reach that far: 2 · 255 · 64 = 32640 < 2^15.
 */
export const onnxruntimeX86: Target = {
  ...onnxruntime,
  name: 'onnxruntime-x86',
  title: 'ONNX Runtime CPU, x86 without VNNI',
  source: 'docs/targets/onnxruntime-x86.md',
  evidence: 'documentation',
  weights: { bits: 8, signed: true, symmetric: true, codes: [-64, 63], granularity: 'channel' },
  bits: { weights: [3, 4, 5, 6, 7, 8], activations: [4, 8, 16] },
}
