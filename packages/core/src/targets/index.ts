import type { Target } from '../quant/index.ts'
import { problem } from '../util/index.ts'
import { onnxruntime } from './onnxruntime.ts'

/** Backends that fewbit quantizes for, by name. */
export const TARGETS = { onnxruntime } as const satisfies Record<string, Target>

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
