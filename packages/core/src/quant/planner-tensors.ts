import type { Graph, Value } from '../ir/index.ts'
import { type Diagnostics, must } from '../util/index.ts'
import { quantSpec } from './params.ts'
import type { ParamSource, Reason, TensorPlan } from './plan.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import { outputBounds } from './planner-fusion.ts'
import type { PlannerOptions } from './planner-options.ts'
import type { Selection } from './planner-select.ts'
import { fixedRangeOf, rootOf, type Sharing, shareScales } from './planner-sharing.ts'
import { biasPlan, ConstantPlans, weightPlan } from './planner-weights.ts'
import type { QuantSpec } from './spec.ts'

/** Everything that tensor plans are made from. */
export interface TensorContext extends PlanContext {
  readonly graph: Graph
  readonly options: PlannerOptions
  readonly diagnostics: Diagnostics
}

/** Plans of all quantized tensors: inputs of the graph first, then node by node constants and outputs. */
export function planTensors(selection: Selection, cx: TensorContext): TensorPlan[] {
  const activations = new ActivationPlans(selection, cx)
  const constants = new ConstantPlans()
  const plans = new Set<TensorPlan>()
  const addActivation = (value: Value | null) => {
    const plan = value && activations.get(value)
    if (plan) plans.add(plan)
  }
  for (const value of cx.graph.inputs) addActivation(value)
  for (const node of cx.graph.nodes) {
    const c = selection.chosen.get(node)
    if (c) for (const plan of constantsOf(c, activations, constants, cx)) plans.add(plan)
    node.outputs.forEach(addActivation)
  }
  return [...plans]
}

function* constantsOf(c: Candidate, activations: ActivationPlans, constants: ConstantPlans, cx: TensorContext) {
  const { node } = c
  const observer = c.settings.observer ?? cx.options.weightObserver ?? 'minmax'
  const input = c.kind === 'weights' ? undefined : activations.get(must(node.inputs[c.data[0] ?? 0], 'data input'))
  for (const i of c.constants) {
    const value = node.inputs[i]
    if (!value || !input) continue
    const text = `constant operand of ${node.opType}, in the codes of its other operands`
    const source: ParamSource = { kind: 'weight', observer }
    yield constants.add(value, node, { role: 'weight', spec: input.spec, source, reason: { code: 'OPERAND', text } })
  }
  const weightValue = c.weight === undefined ? null : node.inputs[c.weight]
  if (!weightValue) return
  const weight = constants.add(weightValue, node, weightPlan(c, weightValue, observer, cx))
  yield weight
  const bias = c.bias === undefined ? null : node.inputs[c.bias]
  const rule = cx.target.bias
  if (bias && input && rule) yield constants.add(bias, node, biasPlan(c, bias, input, weight, rule.bits))
}

/** Plans of activations by value; members of a group agree on spec and observer. */
class ActivationPlans {
  readonly #plans = new Map<Value, TensorPlan>()
  readonly #selection: Selection
  readonly #cx: TensorContext
  readonly #sharing: Sharing

  constructor(selection: Selection, cx: TensorContext) {
    this.#selection = selection
    this.#cx = cx
    this.#sharing = shareScales(selection)
    const values = [...cx.graph.inputs, ...[...cx.graph.nodes].flatMap((node) => node.outputs)]
    const members = new Map<Value, Value[]>()
    for (const value of values) {
      if (!value || !selection.isQuantized(value)) continue
      const root = this.#sharing.groups.find(value)
      members.set(root, [...(members.get(root) ?? []), value])
    }
    for (const group of members.values()) this.#planGroup(group)
  }

  get(value: Value): TensorPlan | undefined {
    return this.#plans.get(value)
  }

  #planGroup(members: readonly Value[]): void {
    const spec = this.#agree(members)
    const group = must(members[0], 'member of a group').name
    for (const value of members) {
      const bounds = this.#bounds(value)
      this.#plans.set(value, {
        value: value.name,
        role: 'activation',
        spec,
        source: this.#source(value),
        group,
        ...this.#readers(value),
        ...(bounds ? { within: bounds } : {}),
        reason: this.#reason(value, members.length),
      })
    }
  }

  /** The spec of a group: that of its members, or the widest where exceptions disagree. */
  #agree(members: readonly Value[]): QuantSpec {
    const specs = members.map((value) => this.#spec(value))
    const widest = specs.reduce((a, b) => (b.bits > a.bits ? b : a))
    const other = specs.findIndex((spec) => JSON.stringify(spec) !== JSON.stringify(widest))
    const [first] = members
    if (other >= 0 && first) {
      const text = `"${members[other]?.name}" and "${first.name}" share one scale, but exceptions want ${specs[other]?.bits} and ${widest.bits} bits`
      this.#cx.diagnostics.warn('PLAN_CONFLICT', `${text}; the group takes ${widest.bits}`, {
        at: { value: first.name },
        fix: 'give every node around the shared tensors the same scheme',
      })
    }
    return widest
  }

  #spec(value: Value): QuantSpec {
    const c = this.#maker(value) ?? must(this.#selection.integerReaders(value)[0], `reader of "${value.name}"`)
    return quantSpec({ ...must(c.settings.rules.activations, 'rule for activations'), ...c.rule.activations })
  }

  #maker(value: Value): Candidate | undefined {
    const maker = this.#selection.maker(value)
    return maker?.kind === 'weights' ? undefined : maker
  }

  #source(value: Value): ParamSource {
    const own = this.#ownObserver(value)
    const followed = this.#followed(value)
    if (followed) return { kind: 'follow', value: followed.name }
    const fixed = own
      ? undefined
      : (fixedRangeOf(value, this.#selection, this.#sharing.follows) ?? this.#knownRange(value))
    return fixed ?? { kind: 'calibrate', observer: own ?? this.#cx.options.observer ?? 'minmax' }
  }

  /** A float operator may guarantee a range too. */
  #knownRange(value: Value): ParamSource | undefined {
    const range = value.producer && this.#cx.ops.of(value.producer)?.quant.fixedRange
    return range ? { kind: 'fixed', range: { lo: range[0], hi: range[1] } } : undefined
  }

  #followed(value: Value): Value | undefined {
    const root = rootOf(value, this.#sharing.follows)
    return root === value ? undefined : root
  }

  /** An observer that somebody asked for by name: for the value, for the node that makes it, or for one that reads it. */
  #ownObserver(value: Value): string | undefined {
    const { options, settings } = this.#cx
    const named = options.observers?.[value.name]
    if (named) return named
    const made = value.producer && (settings.of(value.producer).observer ?? this.#maker(value)?.settings.observer)
    if (made) return made
    if (this.#maker(value)) return undefined
    return this.#selection.integerReaders(value).find((c) => c.settings.observer)?.settings.observer
  }

  #readers(value: Value): Pick<TensorPlan, 'readers' | 'graphOutput'> {
    // A kernel hands over codes as soon as one reader wants them, and then nothing else: all read the dequantized value.
    const all = this.#maker(value) !== undefined
    const readers = all ? value.consumers() : this.#selection.integerReaders(value).map((c) => c.node)
    const isOutput = all && this.#cx.graph.isOutput(value)
    return { readers: readers.map((node) => node.name), ...(isOutput ? { graphOutput: true as const } : {}) }
  }

  #bounds(value: Value): TensorPlan['within'] {
    const def = value.producer && this.#cx.ops.of(value.producer)
    if (!def?.quant.traits?.includes('fusable-activation')) return undefined
    const bounds = outputBounds(value.producer as NonNullable<typeof value.producer>, def)
    return bounds && (bounds.lo !== undefined || bounds.hi !== undefined) ? bounds : undefined
  }

  #reason(value: Value, groupSize: number): Reason {
    const shared = groupSize > 1 ? `, on one scale with ${groupSize - 1} more` : ''
    const maker = this.#maker(value)
    if (!maker) {
      const reader = this.#selection.integerReaders(value)[0]?.node
      return {
        code: 'INTEGER_READER',
        text: `read by the integer kernel of ${reader?.opType} "${reader?.name}"${shared}`,
      }
    }
    const { node } = maker
    const fused = node.outputs.includes(value) ? '' : `, behind its ${value.producer?.opType}`
    return {
      code: 'INTEGER_RESULT',
      text: `result of the integer kernel of ${node.opType} "${node.name}"${fused}${shared}`,
    }
  }
}
