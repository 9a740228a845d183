import { type Tensor, UniqueNames, valuesByName } from '../ir/index.ts'
import { groupsOf, type QuantParams } from '../quant/index.ts'
import { must, problem, wildcard } from '../util/index.ts'
import { type QatContext, standardQat } from './context.ts'
import { deployedParams } from './deploy.ts'
import { foldedConstants } from './folded.ts'
import { type Choices, chosen, initialCall, recordOf } from './init-quantizers.ts'
import { lift } from './lift.ts'
import type { QFloat } from './qfloat.ts'
import type { QFloatRecord, QuantizerChoice, QuantizerRecord, RangeObserver, State } from './record.ts'
import { writeQFloat } from './write.ts'

/** Which fake-quantizers a change is about: all that fit everything that is said. */
export interface QuantizerMatch {
  /** Name of a quantized value, of its group, or of a node that reads it; `*` stands for any text. */
  readonly name?: string | RegExp
  readonly role?: QuantizerRecord['role']
}

export interface QuantizerSwitches {
  /** Off: values pass as they are. */
  readonly enabled?: boolean
  /** Null: ranges stay, or are what gradients make them. */
  readonly observer?: RangeObserver | null
  /** Parameters stay as they are. */
  readonly frozen?: boolean
}

/**
 * Switches fake-quantizers and their observers on and off. Parameters stay as they are.
 * @throws FewbitError QAT_MATCH where nothing fits; QAT_OBSERVER for observers of fake-quantizers that choose their ranges themselves.
 */
export function switchQuantizers(
  qfloat: QFloat,
  match: QuantizerMatch,
  switches: QuantizerSwitches,
  cx: QatContext = standardQat(),
): QFloat {
  const fits = matcher(qfloat.record, match)
  const quantizers = qfloat.record.quantizers.map((record) => (fits(record) ? { ...record, ...switches } : record))
  refuseObservers(quantizers)
  return rewritten(qfloat, quantizers, cx)
}

/**
 * Puts other fake-quantizers in the place of some, which begin where those are: with the same scale and zero point.
 * @param choices by role; biases and constant operands keep theirs.
 * @throws FewbitError QAT_MATCH, QAT_OBSTACLE, FAKE_QUANTIZER_*
 */
export function replaceQuantizers(
  qfloat: QFloat,
  choices: Partial<Choices>,
  match: QuantizerMatch,
  cx: QatContext,
): QFloat {
  const fits = matcher(qfloat.record, match)
  const lifted = lift(qfloat, cx.ops)
  const names = new UniqueNames(qfloat.model.graph)
  const state = new Map(lifted.state)
  const plans = groupsOf(qfloat.record.plan)
  const init = { values: valuesByName(lifted.base.graph), weights: foldedConstants(lifted.base, qfloat.record) }
  const quantizers = qfloat.record.quantizers.map((record): QuantizerRecord => {
    const asked =
      record.role === 'activation' ? choices.activation : record.role === 'weight' ? choices.weight : undefined
    if (!asked || !fits(record)) return record
    const choice = replacement(record, asked, cx)
    const members = must(plans.get(record.group), `plan of "${record.group}"`)
    const params: QuantParams = { ...deployedParams(record, lifted, cx), spec: record.spec }
    const call = initialCall(members, params, choice, init, cx)
    const fresh = (name: string) => names.value(`${record.group}_${name}`)
    const made = recordOf({ ...record, params, choice, call }, fresh, state)
    return { ...made, enabled: record.enabled, frozen: record.frozen }
  })
  return rewritten(qfloat, quantizers, cx, state)
}

/** What is asked for, with its options, if the numbers that the tensor has are those that it makes. */
function replacement({ group, spec }: QuantizerRecord, asked: QuantizerChoice, cx: QatContext): QuantizerChoice {
  const { quantizer, options } = chosen(asked, cx)
  if ((spec.format !== undefined) === (quantizer.levels === true)) return { name: asked.name, options: { ...options } }
  const has = spec.format ? 'levels that are not evenly spaced' : 'integers'
  throw problem('QAT_OBSTACLE', `fake-quantizer ${asked.name} cannot stand for "${group}", which takes ${has}`, {
    at: { value: group },
    fix: 'match others only, or prepare the float network anew',
  })
}

/**
 * The same network in the form in which another backend's engine, or none, is followed: what it is compared with on that backend. Where
 * `engine` is absent, everything between fake-quantizers is float.
 */
export function inArithmeticOf(engine: QFloatRecord['engine'], qfloat: QFloat, cx: QatContext): QFloat {
  const { engine: own, ...record } = qfloat.record
  if (own === engine) return qfloat
  const { base, state } = lift(qfloat, cx.ops)
  return writeQFloat(base, { ...record, ...(engine && { engine }) }, state, cx)
}

function rewritten(qfloat: QFloat, quantizers: readonly QuantizerRecord[], cx: QatContext, given?: State): QFloat {
  const { base, state: own } = lift(qfloat, cx.ops)
  const state = given ?? own
  return writeQFloat(base, { ...qfloat.record, quantizers, held: heldBy(quantizers, state) }, state, cx)
}

/** Parameters that no node reads. */
function heldBy(quantizers: readonly QuantizerRecord[], state: State): QFloatRecord['held'] {
  const names = quantizers.flatMap(({ enabled, inputs }) =>
    enabled ? [] : inputs.map(({ initializer }) => initializer),
  )
  const entries = names.map((name) => {
    const tensor: Tensor = must(state.get(name), `parameter "${name}"`)
    return [name, { dims: tensor.dims, values: Array.from(tensor.numbers()) }] as const
  })
  return Object.fromEntries(entries)
}

function matcher(
  { plan, quantizers }: QFloatRecord,
  { name, role }: QuantizerMatch,
): (record: QuantizerRecord) => boolean {
  const pattern = name === undefined ? undefined : typeof name === 'string' ? wildcard(name) : name
  const readers = new Map(
    [...groupsOf(plan)].map(([group, members]) => [group, members.flatMap((t) => t.readers)] as const),
  )
  const fits = ({ group, role: own, sites }: QuantizerRecord) => {
    const names = [group, ...sites.map(({ value }) => value), ...(readers.get(group) ?? [])]
    return (role === undefined || role === own) && (!pattern || names.some((text) => text.search(pattern) >= 0))
  }
  if (!quantizers.some(fits)) throw noMatch(name, role)
  return fits
}

function noMatch(name: QuantizerMatch['name'], role: QuantizerMatch['role']) {
  const what = [role && `role ${role}`, name !== undefined && `name ${String(name)}`].filter(Boolean).join(' and ')
  return problem('QAT_MATCH', `no fake-quantizer has ${what}`, {
    at: { option: 'match' },
    fix: 'name a quantized value, or a node that reads one; * stands for any text',
  })
}

function refuseObservers(quantizers: readonly QuantizerRecord[]): void {
  const other = quantizers.find(({ observer, quantizer }) => observer && quantizer.name !== 'fixed')
  if (!other) return
  const text = `"${other.group}" has a fake-quantizer ${other.quantizer.name}, whose range is trained: it cannot follow what passes as well`
  throw problem('QAT_OBSERVER', text, { at: { value: other.group }, fix: 'observe where the fake-quantizer is fixed' })
}
