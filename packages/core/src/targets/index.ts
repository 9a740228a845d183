import type { Target } from '../quant/index.ts'
import { nearestNames, problem } from '../util/index.ts'
import { academic } from './academic.ts'
import { ascendAcl } from './ascend-acl.ts'
import { splitAtBits, targetAtBits } from './at-bits.ts'
import { cmsisNn } from './cmsis-nn.ts'
import { coreml } from './coreml.ts'
import { fbgemm } from './fbgemm.ts'
import { fpgaPot } from './fpga-pot.ts'
import { megengine } from './megengine.ts'
import { metax } from './metax.ts'
import { mnn } from './mnn.ts'
import { ncnn } from './ncnn.ts'
import { nnie } from './nnie.ts'
import { nxp } from './nxp.ts'
import { onnxruntime } from './onnxruntime.ts'
import { onnxruntimeArm } from './onnxruntime-arm.ts'
import { onnxruntimeWeb } from './onnxruntime-web.ts'
import { onnxruntimeWebgpu } from './onnxruntime-webgpu.ts'
import { onnxruntimeX86 } from './onnxruntime-x86.ts'
import { openvino } from './openvino.ts'
import { pplCuda } from './ppl-cuda.ts'
import { pplDsp } from './ppl-dsp.ts'
import { qnn } from './qnn.ts'
import { qnnpack } from './qnnpack.ts'
import { rknn } from './rknn.ts'
import { snpe } from './snpe.ts'
import { stpu } from './stpu.ts'
import { tengine } from './tengine.ts'
import { tensorrt } from './tensorrt.ts'
import { tflite } from './tflite.ts'
import { tvm } from './tvm.ts'
import { vitisAi } from './vitis-ai.ts'

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
  academic,
  'ascend-acl': ascendAcl,
  'fpga-pot': fpgaPot,
  megengine,
  metax,
  mnn,
  ncnn,
  nnie,
  nxp,
  'ppl-cuda': pplCuda,
  'ppl-dsp': pplDsp,
  rknn,
  stpu,
  tengine,
  tvm,
  'vitis-ai': vitisAi,
} as const satisfies Record<string, Target>

export type TargetName = keyof typeof TARGETS

/** A target by its name, or by the name of its rules at other bits; undefined where there is none. */
export function knownTarget(name: string, targets: Readonly<Record<string, Target>> = TARGETS): Target | undefined {
  if (Object.hasOwn(targets, name)) return targets[name]
  const at = splitAtBits(name)
  const base = at && Object.hasOwn(targets, at.target) ? targets[at.target] : undefined
  return at && base && targetAtBits(base, at.scheme).target
}

/** @throws FewbitError TARGET_UNKNOWN naming the known ones. */
export function findTarget(name: string, targets: Readonly<Record<string, Target>> = TARGETS): Target {
  const target = knownTarget(name, targets)
  if (target) return target
  const names = Object.keys(targets)
  const [near] = nearestNames(name, names)
  throw problem('TARGET_UNKNOWN', `"${name}" is not a target`, {
    at: { option: 'target' },
    fix: `${near === undefined ? '' : `did you mean "${near}"? `}There are ${names.join(', ')}`,
  })
}

export { type TargetAtBits, targetAtBits } from './at-bits.ts'
export { brieflyText, describeTarget, type TargetDescription } from './describe.ts'
export { onnxruntime } from './onnxruntime.ts'
