import { aimet061 } from './aimet-0-6-1.ts'
import { aimet100 } from './aimet-1-0-0.ts'
import { aimet200 } from './aimet-2-0-0.ts'
import { ascend } from './ascend.ts'
import { cmsisNn } from './cmsis-nn/cmsis-nn.ts'
import type { Exporter } from './define.ts'
import { dynamic } from './dynamic/dynamic.ts'
import { megengine } from './megengine.ts'
import { mnn } from './mnn.ts'
import { native } from './native.ts'
import { ncnn } from './ncnn.ts'
import { nnie } from './nnie.ts'
import { nxp } from './nxp.ts'
import { openvino } from './openvino.ts'
import { ppl } from './ppl.ts'
import { pplW8A16 } from './ppl-w8a16.ts'
import { qdq } from './qdq.ts'
import { qoperator } from './qoperator/qoperator.ts'
import { rknn } from './rknn.ts'
import { simulate } from './simulate.ts'
import { snpe } from './snpe.ts'
import { stpu } from './stpu.ts'
import { tengine } from './tengine.ts'
import { tensorrtCache } from './tensorrt-cache.ts'
import { tensorrtRanges } from './tensorrt-ranges.ts'
import { tflite } from './tflite/tflite.ts'
import { vitis } from './vitis.ts'

/** Forms that a quantized network is written in, by name. */
export const EXPORTERS = {
  qdq,
  qoperator,
  dynamic,
  openvino,
  simulate,
  json: native,
  'aimet-0.6.1': aimet061,
  'aimet-1.0.0': aimet100,
  'aimet-2.0.0': aimet200,
  ascend,
  megengine,
  mnn,
  ncnn,
  nnie,
  nxp,
  ppl,
  'ppl-w8a16': pplW8A16,
  rknn,
  snpe,
  stpu,
  tengine,
  'tensorrt-cache': tensorrtCache,
  'tensorrt-ranges': tensorrtRanges,
  tflite,
  'cmsis-nn': cmsisNn,
  vitis,
} as const satisfies Record<string, Exporter>

export type ExporterName = keyof typeof EXPORTERS

export { cmsisNn } from './cmsis-nn/cmsis-nn.ts'
export { complete, type Demands, type Holds } from './completeness.ts'
export * from './define.ts'
export { dynamic } from './dynamic/dynamic.ts'
export { activationEncodings, type Encoding, planned, tableEncodings } from './encodings.ts'
export { readQuantization, type SavedQuantization } from './native-reader.ts'
export { openvino } from './openvino.ts'
export { qdq } from './qdq.ts'
export { qoperator } from './qoperator/qoperator.ts'
export { tflite, tfliteOrders } from './tflite/tflite.ts'
