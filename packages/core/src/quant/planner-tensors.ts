import type { Graph, Value } from '../ir/index.ts'
import { type Diagnostics, must } from '../util/index.ts'
import { quantSpec, withFormat, withIntegers } from './params.ts'
import type { ParamSource, Reason, TensorPlan } from './plan.ts'
import { isNonNegative, outputBounds } from './planner-bounds.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import type { FormatOf, PlannerOptions } from './planner-options.ts'
import type { Selection } from './planner-select.ts'
import { fixedRangeOf, rootOf, type Sharing, shareScales } from './planner-sharing.ts'
import { biasPlan, ConstantPlans, weightPlan } from './planner-weights.ts'
import { perTensor, type QuantSpec } from './spec.ts'
import type { ActivationRule } from './target.ts'

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
    if (plan && !activations.isRepeat(value)) plans.add(plan)
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
  for (const i of input ? c.fills : []) {
    const value = node.inputs[i]
    if (value && input) yield constants.addFill(value, node, input)
  }
  for (const i of cx.target.constants === 'float' ? [] : c.constants) {
    const value = node.inputs[i]
    if (!value || !input) continue
    const text = `constant operand of ${node.opType}, in the codes of its other operands`
    const source: ParamSource = { kind: 'weight', observer }
    // Methods that ask for a format are about weights and activations, and this is neither.
    const spec = c.settings.formats.activations ? withIntegers(input.spec) : input.spec
    yield constants.add(value, node, { role: 'weight', spec, source, reason: { code: 'OPERAND', text } })
  }
  const weightValue = c.weight === undefined ? null : node.inputs[c.weight]
  if (!weightValue) return
  const weight = constants.add(weightValue, node, weightPlan(c, weightValue, observer, cx))
  yield weight
  const bias = c.bias === undefined ? null : node.inputs[c.bias]
  const rule = cx.target.bias
  if (bias && input && rule) yield constants.add(bias, node, biasPlan(c, bias, input, weight, rule, observer))
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

  /** True for the result of a node that moves codes, on a target whose artefacts do not quantize it once more. */
  isRepeat(value: Value): boolean {
    if (this.#cx.target.repeats !== 'drop') return false
    const maker = this.#maker(value)
    const source = maker?.kind === 'pass' ? maker.node.inputs[0] : undefined
    const before = source && this.#plans.get(source)
    return before?.group !== undefined && before.group === this.#plans.get(value)?.group
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
        source: this.#source(value, spec),
        group,
        ...this.#readers(value),
        ...(bounds ? { within: bounds } : {}),
        reason: this.#reason(value, members.length),
      })
    }
  }

  /** The spec of a group: that of its members, or the widest where exceptions disagree; all at the bits of what an edge reads. */
  #agree(members: readonly Value[]): QuantSpec {
    const edge = Math.max(...members.map((value) => this.#edgeBits(value)))
    const specs = members.map((value) => this.#spec(value, edge))
    const widest = specs.reduce((a, b) => (b.bits > a.bits || (b.bits === a.bits && b.signed && !a.signed) ? b : a))
    const narrow = specs.findIndex((spec) => spec.bits !== widest.bits)
    if (narrow >= 0) {
      const name = (i: number) => must(members[i], 'member of a group').name
      const [one, other] = [name(narrow), name(specs.indexOf(widest))]
      const text = `"${one}" and "${other}" share one scale, but exceptions want ${specs[narrow]?.bits} and ${widest.bits} bits`
      this.#cx.diagnostics.warn('PLAN_CONFLICT', `${text}; the group takes ${widest.bits}`, {
        at: { value: one },
        fix: 'give every node around the shared tensors the same scheme',
      })
    }
    return widest
  }

  /** @param least bits: above 0 where an edge reads the group. */
  #spec(value: Value, least: number): QuantSpec {
    const { rule, formatOf } = this.#ruleFor(value)
    const unsigned = rule.unsignedWherePossible && rule.signed && isNonNegative(value, this.#cx.ops)
    const own = { ...rule, bits: Math.max(rule.bits, least), ...(unsigned && { signed: false }) }
    return quantSpec(withFormat(own, least > 0 ? undefined : formatOf), perTensor(), this.#cx.target)
  }

  /** The rule of the node that makes the value, or of the first that reads it. */
  #ruleFor(value: Value): { readonly rule: ActivationRule; readonly formatOf: FormatOf | undefined } {
    const inputsOnly = this.#cx.target.points === 'inputs'
    const readers = this.#selection.integerReaders(value).map((r) => r.candidate)
    const c =
      (inputsOnly ? readers[0] : undefined) ?? this.#maker(value) ?? must(readers[0], `reader of "${value.name}"`)
    const rule = { ...must(c.settings.rules.activations, 'rule for activations'), ...c.rule.activations }
    return { rule, formatOf: c.settings.formats.activations }
  }

  /** The bits that the first or the last product wants of what it reads; 0 for what neither reads. */
  #edgeBits(value: Value): number {
    const { settings } = this.#selection.integerReaders(value).find((r) => r.candidate.settings.isEdge)?.candidate ?? {}
    return settings?.rules.activations?.bits ?? 0
  }

  #maker(value: Value): Candidate | undefined {
    const maker = this.#selection.maker(value)
    return maker?.kind === 'weights' ? undefined : maker
  }

  #source(value: Value, spec: QuantSpec): ParamSource {
    const own = this.#ownObserver(value)
    const followed = this.#followed(value)
    if (followed) return { kind: 'follow', value: followed.name }
    const exact = this.#fixedOutput(value, spec)
    if (exact) return exact
    const fixed = own
      ? undefined
      : (fixedRangeOf(value, this.#selection, this.#sharing.follows) ?? this.#knownRange(value))
    return fixed ?? { kind: 'calibrate', ...observerOf(own ?? this.#cx.options.observer ?? 'minmax') }
  }

  /** The scale that the backend's kernel has built in. */
  #fixedOutput(value: Value, { bits, quantMin, quantMax }: QuantSpec): ParamSource | undefined {
    const maker = this.#maker(value)
    const fixed = maker?.rule.fixedOutput
    if (!fixed || !maker.node.outputs.includes(value)) return undefined
    const steps = 2 ** (bits - this.#cx.target.activations.bits)
    const at = (code: number) => (code / steps - fixed.zeroPoint) * fixed.scale
    return { kind: 'fixed', range: { lo: at(quantMin), hi: at(quantMax) } }
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
    const readers = this.#selection.integerReaders(value)
    return readers.find((r) => r.candidate.settings.observer)?.candidate.settings.observer
  }

  #readers(value: Value): Pick<TensorPlan, 'readers' | 'graphOutput'> {
    // A kernel hands over codes as soon as one reader wants them, and then nothing else: all read the dequantized value. Where quantizers
    // stand at inputs, only a kernel does so whose result is on the grid of its input.
    const maker = this.#maker(value)
    const all = maker !== undefined && (this.#cx.target.points !== 'inputs' || maker.rule.align === 'input')
    const readers = all ? value.consumers() : this.#selection.integerReaders(value).map((r) => r.node)
    const isOutput = all && this.#cx.graph.isOutput(value)
    return { readers: readers.map((node) => node.name), ...(isOutput ? { graphOutput: true as const } : {}) }
  }

  /** Bounds of the activation that makes the value; of what is moved or joined, those of all that it comes from. */
  #bounds(value: Value): TensorPlan['within'] {
    const maker = this.#maker(value)
    if (maker && (maker.kind === 'pass' || maker.rule.share === 'all-inputs')) return this.#commonBounds(maker)
    const node = value.producer
    const def = node && this.#cx.ops.of(node)
    if (!node || !def?.quant.traits?.includes('fusable-activation')) return undefined
    const bounds = outputBounds(node, def)
    return bounds && (bounds.lo !== undefined || bounds.hi !== undefined) ? bounds : undefined
  }

  #commonBounds({ node, data }: Candidate): TensorPlan['within'] {
    const inputs = data.flatMap((i) => node.inputs[i] ?? []).map((input) => this.#bounds(input))
    const alike = inputs.every((bounds) => JSON.stringify(bounds) === JSON.stringify(inputs[0]))
    return alike ? inputs[0] : undefined
  }

  #reason(value: Value, groupSize: number): Reason {
    const shared = groupSize > 1 ? `, on one scale with ${groupSize - 1} more` : ''
    const reader = this.#selection.integerReaders(value)[0]?.node
    const maker = reader && this.#cx.target.points === 'inputs' ? undefined : this.#maker(value)
    if (!maker) {
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

/** `name` or `name:option=number,…`. */
function observerOf(text: string): { observer: string; options?: Record<string, number> } {
  const [observer = text, list] = text.split(':')
  if (!list) return { observer }
  const options = list.split(',').map((pair) => pair.split('='))
  return { observer, options: Object.fromEntries(options.map(([name, value]) => [name, Number(value)])) }
}
