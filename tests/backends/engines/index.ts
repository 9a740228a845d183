import type { Backend } from '../backend.ts'
import { apFixedBackends } from './ap-fixed.ts'
import { litert, litertXnnpack } from './litert.ts'
import { megengine } from './megengine.ts'
import { mnn, ncnn } from './mobile.ts'
import { onnxruntime, onnxruntimeOperators } from './onnxruntime.ts'
import { onnxruntimeWeb } from './onnxruntime-web.ts'
import { openvino, openvinoQdq } from './openvino.ts'
import { fbgemm, qnnpack } from './pytorch.ts'
import { tflm } from './tflm.ts'
import { tvm } from './tvm.ts'

/** Engines that run artefacts, in the order of the report. */
export const BACKENDS: readonly Backend[] = [
  onnxruntime,
  onnxruntimeOperators,
  onnxruntimeWeb,
  openvino,
  openvinoQdq,
  fbgemm,
  qnnpack,
  litert,
  litertXnnpack,
  tflm,
  megengine,
  ...apFixedBackends,
  ncnn,
  mnn,
  tvm,
]
