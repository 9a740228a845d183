import { asTensor } from '../ir/index.ts'
import { readAttrs, versionIn } from '../ops/index.ts'
import type { Reason } from './plan.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'

/** Axis of channels in activations of the operators that have a minimum (ONNX: N, C, spatial axes). */
const CHANNEL_AXIS = 1

/** Why a layer is too small for the target's integer kernel to be faster, if it is and nobody asked for integers. */
export function tooSmall(c: Candidate, { model, target }: PlanContext): Reason | undefined {
  const { minChannels } = c.rule
  if (!minChannels || c.kind !== 'accumulate' || c.settings.ownScheme) return undefined
  const inputs = asTensor(c.node.inputs[c.data[0] ?? 0]?.type)?.shape?.[CHANNEL_AXIS]
  const outputs = outputChannels(c, versionIn(c.def, model) ?? 1)
  const few = typeof inputs === 'number' && inputs < minChannels.inputs
  if (!few && !(outputs !== undefined && outputs < minChannels.outputs)) return undefined
  const text = few
    ? `with ${inputs} input channel the integer kernel of ${target.title} is slower than the float one`
    : `with ${outputs} output channels the integer kernel of ${target.title} is slower than the float one`
  return { code: 'SMALL_HEAD', text }
}

function outputChannels({ node, def, weight }: Candidate, version: number): number | undefined {
  const dims = weight === undefined ? undefined : node.inputs[weight]?.constant?.dims
  const axis = dims && def.weightChannelAxis?.(readAttrs(def, node, version), dims.length)
  return axis === undefined ? undefined : dims?.[axis]
}
