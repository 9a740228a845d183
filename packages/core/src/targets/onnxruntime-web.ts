import type { Target } from '../quant/index.ts'
import { onnxruntime } from './onnxruntime.ts'
import { INTEGER } from './rows.ts'

/** ONNX Runtime Web on WebAssembly: the CPU kernels and the optimizer of the native build, compiled for the browser. */
export const onnxruntimeWeb: Target = {
  ...onnxruntime,
  name: 'onnxruntime-web',
  title: 'ONNX Runtime Web, WebAssembly',
  source: 'docs/targets/onnxruntime-web.md',
  evidence: 'engine',
  // What is too small for the integer GEMM was measured on x86 only.
  ops: { ...onnxruntime.ops, Conv: INTEGER },
}
