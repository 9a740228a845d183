import { FAKE_QUANTIZERS, type QuantizerCall, type QuantizerContext } from '../../fake-quantizers/index.ts'
import { asTensor, insertOn } from '../../ir/index.ts'
import { groupsOf, type QuantParams, type QuantSpec, type TensorPlan } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { type CallWriter, inputsOf, type PlacedCall, type QuantizerInputs } from './call-writer.ts'
import type { PlannedUses } from './planned-uses.ts'

/** A group of activations whose scale is learned. */
export interface ActivationSite {
  readonly members: readonly TensorPlan[]
  readonly params: QuantParams
  readonly inputs: QuantizerInputs
}

/** Learned scales as the papers' programs have them: gradients stop where codes are clipped, and Adam makes their size irrelevant. */
export const LEARNED = { mask: 'rounded', gradientScale: 'none', learnZeroPoint: false, scale: 'real' } as const

export interface ActivationOptions {
  /** Of an element to be quantized in a step. */
  readonly prob: number
  /** Whether scales are learned. */
  readonly learned: boolean
}

/**
 * Puts fake-quantizers on activations. A scale is learned where nothing outside the unit shares it and the target takes any number; other
 * scales stay, and activations whose numbers are not evenly spaced stay in float.
 */
export function writeActivations(
  writer: CallWriter,
  planned: readonly PlannedUses[],
  { plan, params }: QuantizedContext,
  options: ActivationOptions,
): ActivationSite[] {
  const groups = groupsOf(plan)
  const here = new Map(planned.map((p) => [p.tensor, p]))
  const placed = new Map<string, PlacedCall>()
  const sites: ActivationSite[] = []
  for (const { tensor, value, uses } of planned) {
    const { group } = tensor
    const own = must(params.get(group), `parameters of "${group}"`)
    if (tensor.role !== 'activation' || own.spec.format || own.spec.granularity.kind === 'group') continue
    const members = must(groups.get(group), 'members of a group')
    const learned = options.learned && !own.spec.powerOfTwo && members.every((t) => here.get(t)?.isWhole)
    const cx = { role: 'activation', spec: own.spec, params: own, shape: asTensor(value.type)?.shape } as const
    const known = placed.get(group) ?? writer.place(callFor(cx, options.prob, learned), group, 'quantizer')
    if (learned && !placed.has(group)) sites.push({ members, params: own, inputs: inputsOf(known) })
    placed.set(group, known)
    insertOn(value, [writer.node(known, value)], { uses, graph: writer.builder.graph })
  }
  return sites
}

function callFor(cx: QuantizerContext, probability: number, learned: boolean): QuantizerCall {
  const call =
    probability < 1
      ? FAKE_QUANTIZERS.qdrop.init(cx, { ...LEARNED, probability })
      : FAKE_QUANTIZERS.lsq.init(cx, LEARNED)
  return learned ? call : { ...call, inputs: call.inputs.map((input) => ({ ...input, trained: false })) }
}

/** The parameters that a learned scale stands for. */
export const learnedActivation = (spec: QuantSpec, state: Parameters<typeof FAKE_QUANTIZERS.lsq.toParams>[1]) =>
  FAKE_QUANTIZERS.lsq.toParams(spec, state, LEARNED)
