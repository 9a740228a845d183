import {
  type ChosenFakeQuantizer,
  chooseFakeQuantizer,
  type QuantizerCall,
  type QuantizerRole,
} from '../fake-quantizers/index.ts'
import { asTensor, type Model, type Tensor, UniqueNames, type Value, valuesByName } from '../ir/index.ts'
import { channelLayout } from '../passes/index.ts'
import {
  groupsOf,
  type ParamsTable,
  type QuantParams,
  type QuantPlan,
  type QuantSpec,
  type TensorPlan,
} from '../quant/index.ts'
import { must } from '../util/index.ts'
import { attributeRecords } from './attribute-record.ts'
import type { QatContext } from './context.ts'
import type { QuantizerChoice, QuantizerInputRecord, QuantizerRecord, QuantizerSite } from './record.ts'

export type Choices = Readonly<Record<QuantizerRole, QuantizerChoice>>

export interface QuantizerInit {
  readonly plan: QuantPlan
  /** What observers found, by group. */
  readonly params: ParamsTable
  readonly choices: Choices
  /** The network under the fake-quantizers, which gives shapes, and names that are free. */
  readonly base: Model
  /** Weights as they are quantized, by value: folded where they are. Others are the network's own. */
  readonly weights: ReadonlyMap<string, Tensor>
}

export interface InitialQuantizers {
  readonly quantizers: readonly QuantizerRecord[]
  readonly state: ReadonlyMap<string, Tensor>
}

/** Biases of more bits than this are exact beside everything else, and are not fake-quantized. */
const FEW_BITS = 16

/** Fake-quantizers for the groups of a plan, with what they begin with. */
export function initialQuantizers(init: QuantizerInit, cx: QatContext): InitialQuantizers {
  const names = new UniqueNames(init.base.graph)
  const values = valuesByName(init.base.graph)
  const state = new Map<string, Tensor>()
  const quantizers = [...groupsOf(init.plan)].flatMap(([group, members]) => {
    if (!isQuantizedWhileTraining(members)) return []
    const params = must(init.params.get(group), `parameters of "${group}"`)
    const role = roleOf(members, values)
    const choice = role === 'activation' || role === 'weight' ? choiceFor(init.choices[role], params.spec, cx) : FIXED
    const call = initialCall(members, params, choice, { values, weights: init.weights }, cx)
    const sites = members.map(({ value }): QuantizerSite => ({ value, node: names.node(`${value}_fake_quantize`) }))
    return [recordOf({ group, role, params, choice, sites, call }, (name) => names.value(`${group}_${name}`), state)]
  })
  return { quantizers, state }
}

/** Biases and constant operands are not what rules for weights are about. */
const FIXED: QuantizerChoice = { name: 'fixed', options: {} }

/** What was asked for, or, where it makes levels and a layer at an end of the network keeps integers, its partner. */
export function choiceFor(asked: QuantizerChoice, spec: QuantSpec, cx: QatContext): QuantizerChoice {
  const { quantizer } = chosen(asked, cx)
  if (spec.format || !quantizer.formatOf?.(spec.bits, spec)) return asked
  const partner = chosen({ name: quantizer.partner ?? 'lsq', options: {} }, cx)
  return { name: partner.quantizer.name, options: partner.options }
}

interface GroupQuantizer {
  readonly group: string
  readonly role: QuantizerRecord['role']
  readonly params: QuantParams
  readonly choice: QuantizerChoice
  readonly sites: readonly QuantizerSite[]
  readonly call: QuantizerCall
}

/** The record of a call, whose initial inputs go into the state under free names. */
export function recordOf(
  { group, role, params, choice, sites, call }: GroupQuantizer,
  fresh: (name: string) => string,
  state: Map<string, Tensor>,
): QuantizerRecord {
  const inputs = call.inputs.map(({ initial, ...input }): QuantizerInputRecord => {
    const initializer = fresh(input.name)
    state.set(initializer, initial)
    return { initializer, ...input }
  })
  return {
    ...{ group, role, spec: params.spec, quantizer: choice },
    ...{ opType: call.op.type, attributes: attributeRecords(call.attributes), inputs, sites },
    ...(call.training ? { trainingAttributes: attributeRecords(call.training) } : {}),
    ...{ enabled: true, observer: null, frozen: false },
  }
}

function roleOf(members: readonly TensorPlan[], values: ReadonlyMap<string, Value>): QuantizerRecord['role'] {
  if (members.some(({ role }) => role === 'activation')) return 'activation'
  const first = must(members[0], 'member of a group')
  return first.role === 'weight' && !isLayerWeight(first, values) ? 'operand' : first.role
}

function isQuantizedWhileTraining(members: readonly TensorPlan[]): boolean {
  return members.every(
    ({ role, source, spec }) => role !== 'bias' || (source.kind === 'weight' && spec.bits <= FEW_BITS),
  )
}

function isLayerWeight({ value, readers }: TensorPlan, values: ReadonlyMap<string, Value>): boolean {
  const found = values.get(value)
  const dims = found?.constant?.dims
  return (
    found
      ?.uses()
      .some(({ node, index }) => index === 1 && readers.includes(node.name) && dims && channelLayout(node, dims)) ??
    false
  )
}

/** The values of a network, and weights where they are quantized with other contents. */
interface Contents {
  readonly values: ReadonlyMap<string, Value>
  readonly weights: ReadonlyMap<string, Tensor>
}

/** How the fake-quantizer of a group begins. */
export function initialCall(
  members: readonly TensorPlan[],
  params: QuantParams,
  choice: QuantizerChoice,
  { values, weights }: Contents,
  cx: QatContext,
): QuantizerCall {
  const first = must(members.find(({ role }) => role === 'activation') ?? members[0], 'member of a group')
  const value = values.get(first.value)
  const constant = weights.get(first.value) ?? value?.constant ?? undefined
  const shape = constant?.dims ?? asTensor(value?.type)?.shape
  const elements = constant ? { values: Float32Array.from(constant.numbers()) } : {}
  const role = first.role === 'activation' ? 'activation' : 'weight'
  const { quantizer, options } = chosen(choice, cx)
  return quantizer.init({ role, spec: params.spec, params, shape, ...elements }, options)
}

/** The fake-quantizer of a record, with its options. */
export const chosen = (choice: QuantizerChoice, { quantizers }: QatContext): ChosenFakeQuantizer =>
  chooseFakeQuantizer(choice, quantizers)
