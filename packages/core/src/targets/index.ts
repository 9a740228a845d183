import type { Target } from '../quant/index.ts'
import { problem } from '../util/index.ts'
import { cmsisNn } from './cmsis-nn.ts'
import { coreml } from './coreml.ts'
import { fbgemm } from './fbgemm.ts'
import { onnxruntime } from './onnxruntime.ts'
import { onnxruntimeArm } from './onnxruntime-arm.ts'
import { onnxruntimeWeb } from './onnxruntime-web.ts'
import { onnxruntimeWebgpu } from './onnxruntime-webgpu.ts'
import { onnxruntimeX86 } from './onnxruntime-x86.ts'
import { openvino } from './openvino.ts'
import { qnn } from './qnn.ts'
import { qnnpack } from './qnnpack.ts'
import { snpe } from './snpe.ts'
import { tensorrt } from './tensorrt.ts'
import { tflite } from './tflite.ts'

/** Backends that fewbit quantizes for, by name. */
export const TARGETS = {
  onnxruntime,
  'onnxruntime-x86': onnxruntimeX86,
  'onnxruntime-arm': onnxruntimeArm,
  'onnxruntime-web': onnxruntimeWeb,
  'onnxruntime-webgpu': onnxruntimeWebgpu,
  openvino,
  fbgemm,
  qnnpack,
  tensorrt,
  qnn,
  snpe,
  coreml,
  tflite,
  'cmsis-nn': cmsisNn,
} as const satisfies Record<string, Target>

export type TargetName = keyof typeof TARGETS

/** @throws FewbitError TARGET_UNKNOWN naming the known ones. */
export function findTarget(name: string, targets: Readonly<Record<string, Target>> = TARGETS): Target {
  const target = Object.hasOwn(targets, name) ? targets[name] : undefined
  if (target) return target
  throw problem('TARGET_UNKNOWN', `"${name}" is not a target`, {
    at: { option: 'target' },
    fix: `choose one of ${Object.keys(targets).join(', ')}`,
  })
}

export { describeTarget, type TargetDescription } from './describe.ts'
export { onnxruntime } from './onnxruntime.ts'
