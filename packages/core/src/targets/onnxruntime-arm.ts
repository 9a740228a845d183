import type { Target } from '../quant/index.ts'
import { onnxruntime } from './onnxruntime.ts'
import { INTEGER } from './rows.ts'

/** ONNX Runtime on 64-bit Arm CPUs: the same groups become integer kernels, and the fast ones take int8 on both sides. */
export const onnxruntimeArm: Target = {
  ...onnxruntime,
  name: 'onnxruntime-arm',
  title: 'ONNX Runtime CPU, Arm',
  source: 'docs/targets/onnxruntime-arm.md',
  evidence: 'documentation',
  activations: { bits: 8, signed: true, symmetric: false, granularity: 'tensor' },
  // What is too small for the integer GEMM was measured on x86 only.
  ops: { ...onnxruntime.ops, Conv: INTEGER },
}
