import type { Node, Value } from '../ir/index.ts'
import { type OpDef, parameter } from '../ops/index.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import { isConstant } from './planner-candidates.ts'
import type { Target } from './target.ts'

/** Bounds of a node's output, as far as they are known without its input. */
export interface Bounds {
  readonly lo?: number
  readonly hi?: number
}

/** The activation that a kernel takes over from the node behind it. */
export interface Fused {
  readonly activation: Node
  readonly bounds: Bounds
}

/**
 * The quantizer goes behind a fused activation, not between: its codes then end where the activation clips, and the clipping
 * costs nothing. That works only where the activation is the sole reader, and clips at zero or not at all below, because
 * zero must stay a code.
 */
export function fusedActivation(candidate: Candidate, cx: PlanContext): Fused | undefined {
  const { node, kind, settings } = candidate
  const value = node.outputs[0]
  if (kind === 'pass' || kind === 'weights' || !value || value.useCount !== 1 || node.graph?.isOutput(value))
    return undefined
  const activation = value.consumers()[0]
  if (!activation || activation.graph !== node.graph || activation.inputs[0] !== value) return undefined
  if (!absorbs(cx.target, node.qualifiedType, activation.qualifiedType)) return undefined
  if (cx.settings.of(activation).float) return undefined
  const def = cx.ops.of(activation)
  const bounds = def && outputBounds(activation, def)
  const endsAtZero = bounds?.lo === undefined || (bounds.lo === 0 && !isCentred(settings.rules.activations))
  return bounds && endsAtZero ? { activation, bounds } : undefined
}

const absorbs = (target: Target, host: string, activation: string): boolean =>
  target.fuse.some(({ hosts, chain }) => hosts.includes(host) && chain.length === 1 && chain[0] === activation)

/** Codes symmetric around zero reach as far down as up, so that nothing clips at zero. */
const isCentred = (rule: { signed: boolean; symmetric: boolean } | undefined): boolean =>
  rule?.symmetric === true && rule.signed

/** Bounds that a schema tells: non-negative outputs, and constant inputs or attributes called `min` and `max`. */
export function outputBounds(node: Node, def: OpDef): Bounds | undefined {
  const [lo, hi] = [bound(node, def, 'min'), bound(node, def, 'max')]
  if (lo === 'unknown' || hi === 'unknown') return undefined
  const floor = def.quant.traits?.includes('non-negative') ? 0 : lo
  return { ...(floor === undefined ? {} : { lo: floor }), ...(hi === undefined ? {} : { hi }) }
}

function bound(node: Node, def: OpDef, name: 'min' | 'max'): number | undefined | 'unknown' {
  const attribute = node.attributes.get(name)
  if (attribute) return attribute.kind === 'float' ? finite(attribute.value) : 'unknown'
  const value = node.inputs[def.inputs.findIndex((text) => parameter(text).name === name)]
  if (!value) return undefined
  return isConstant(value) && value.constant?.size === 1 ? finite(value.constant.numbers()[0] as number) : 'unknown'
}

/** Exporters write "no bound" as the largest float. */
const finite = (x: number): number | undefined => (Math.abs(x) < 3.4e38 ? x : undefined)

/** The value that a candidate hands to the world: its own output, or that of the activation that it absorbs. */
export const handedOver = (candidate: Candidate, fused: Fused | undefined): Value[] =>
  fused ? fused.activation.outputs.filter((v) => v !== null) : candidate.node.outputs.filter((v) => v !== null)
