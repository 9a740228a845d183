import type { Backend } from '../backend.ts'
import { onnxruntime, onnxruntimeOperators } from './onnxruntime.ts'
import { onnxruntimeWeb } from './onnxruntime-web.ts'
import { openvino } from './openvino.ts'
import { fbgemm, qnnpack } from './pytorch.ts'

/** Engines that run artefacts, in the order of the report. */
export const BACKENDS: readonly Backend[] = [
  onnxruntime,
  onnxruntimeOperators,
  onnxruntimeWeb,
  openvino,
  fbgemm,
  qnnpack,
]
