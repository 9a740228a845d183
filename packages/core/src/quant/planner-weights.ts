import type { Node, Value } from '../ir/index.ts'
import { readAttrs, versionIn } from '../ops/index.ts'
import { must } from '../util/index.ts'
import { quantSpec, withFormat } from './params.ts'
import type { ParamSource, Reason, TensorPlan } from './plan.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import { type Granularity, perChannel, perGroup, perTensor, type QuantSpec } from './spec.ts'
import type { BiasRule, TensorRule } from './target.ts'

/** Plans of constants. One entry for each form that a constant is needed in: readers that agree share it. */
export class ConstantPlans {
  readonly #byForm = new Map<string, TensorPlan & { readers: string[] }>()
  readonly #forms = new Map<string, number>()

  add(value: Value, node: Node, plan: Pick<TensorPlan, 'role' | 'spec' | 'source' | 'reason'>): TensorPlan {
    const form = JSON.stringify([value.name, plan.spec, plan.source])
    const known = this.#byForm.get(form)
    if (known) {
      if (!known.readers.includes(node.name)) known.readers.push(node.name)
      return known
    }
    const forms = this.#forms.get(value.name) ?? 0
    this.#forms.set(value.name, forms + 1)
    const group = forms === 0 ? value.name : `${value.name}@${node.name}`
    const entry = { value: value.name, ...plan, group, readers: [node.name] }
    this.#byForm.set(form, entry)
    return entry
  }

  /** A constant in units of a node's input, in that input's codes. */
  addFill(value: Value, node: Node, input: TensorPlan): TensorPlan {
    const text = `constant of ${node.opType} in units of its input, in the codes of "${input.value}"`
    const source: ParamSource = { kind: 'follow', value: input.value }
    const plan = { role: 'fill' as const, spec: input.spec, source, reason: { code: 'FILL', text } }
    return { value: value.name, ...plan, group: input.group, readers: [node.name] }
  }
}

/** Spec and reason of a candidate's constant weight. */
export function weightPlan(
  c: Candidate,
  value: Value,
  observer: string,
  cx: PlanContext,
): Pick<TensorPlan, 'role' | 'spec' | 'source' | 'reason'> {
  const { rule, granularity, reason } = weightRule(c, value, cx)
  const spec = quantSpec(withFormat(rule, c.settings.formats.weights), granularity, cx.target)
  return { role: 'weight', spec, source: { kind: 'weight', observer }, reason }
}

function weightRule(c: Candidate, value: Value, cx: PlanContext) {
  const { rules, granularity: wanted } = c.settings
  const rule: TensorRule = {
    ...must(rules.weights, 'rule for weights'),
    ...c.rule.weights,
    ...(isOfShape(c, cx) ? c.rule.weightsOf?.rule : {}),
  }
  const rank = value.constant?.dims.length ?? 0
  const attrs = readAttrs(c.def, c.node, versionIn(c.def, cx.model) ?? c.def.since[0] ?? 1)
  const axis = c.rule.channelAxis ?? c.def.weightChannelAxis?.(attrs, rank)
  const kind = wanted ?? (rules.groupSize ? 'group' : rule.granularity)
  const { granularity, text } = weightGranularity(c, kind, axis, rank)
  return { rule, granularity, reason: { code: 'WEIGHT', text: `constant weight of ${c.node.opType}: ${text}` } }
}

/** True for a plain convolution of the kernel shape that the rule singles out. */
function isOfShape(c: Candidate, { model }: PlanContext): boolean {
  const wanted = c.rule.weightsOf?.kernel
  if (!wanted) return false
  const dims = c.weight === undefined ? undefined : c.node.inputs[c.weight]?.constant?.dims
  const attrs: Record<string, unknown> = readAttrs(c.def, c.node, versionIn(c.def, model) ?? c.def.since[0] ?? 1)
  const ones = (name: string) => ((attrs[name] as readonly number[] | undefined) ?? []).every((n) => n === 1)
  const isKernel = dims?.slice(2).join() === wanted.join()
  return isKernel && ones('strides') && ones('dilations') && (attrs.group ?? 1) === 1
}

function weightGranularity(
  c: Candidate,
  kind: Granularity['kind'],
  axis: number | undefined,
  rank: number,
): { granularity: Granularity; text: string } {
  if (kind === 'tensor') return { granularity: perTensor(), text: 'one scale' }
  const { perChannelRank } = c.rule
  if (axis === undefined || rank < 2 || (perChannelRank !== undefined && rank !== perChannelRank)) {
    return { granularity: perTensor(), text: `one scale, because a weight of rank ${rank} has no single channel axis` }
  }
  const size = c.settings.rules.groupSize
  if (kind === 'group' && rank === 2 && size) {
    return { granularity: perGroup(size, 1 - axis), text: `one scale for ${size} neighbours along axis ${1 - axis}` }
  }
  return { granularity: perChannel(axis), text: `one scale for each output channel (axis ${axis})` }
}

/** The bias lives on the accumulator's grid, scale(input) · scale(weight), unless the backend gives it a scale of its own. */
export function biasPlan(
  c: Candidate,
  bias: Value,
  input: TensorPlan,
  weight: TensorPlan,
  rule: BiasRule,
  observer: string,
): Pick<TensorPlan, 'role' | 'spec' | 'source' | 'reason'> {
  const { bits, powerOfTwo } = rule
  const axis = (bias.constant?.dims.length ?? 1) - 1
  if (rule.scale === 'own') {
    const own = { bits, signed: true, symmetric: true, ...(powerOfTwo ? { powerOfTwo } : {}) }
    const reason = { code: 'BIAS_OWN', text: `bias of ${c.node.opType}, which the target gives a scale of its own` }
    return { role: 'bias', spec: quantSpec(own), source: { kind: 'weight', observer }, reason }
  }
  const granularity = weight.spec.granularity.kind === 'tensor' ? perTensor() : perChannel(axis)
  const spec: QuantSpec = quantSpec({ bits, signed: true, symmetric: true }, granularity)
  const source: ParamSource = { kind: 'bias', input: input.group, weight: weight.group }
  const reason: Reason = {
    code: 'BIAS',
    text: `added to the accumulator of ${c.node.opType}: scale(input) · scale(weight)`,
  }
  return { role: 'bias', spec, source, reason }
}
