import { FAKE_QUANTIZERS, type QuantizerCall } from '../../fake-quantizers/index.ts'
import { insertOn, replaceUses, Tensor } from '../../ir/index.ts'
import { fakeQuantize, type QuantParams, type TensorPlan } from '../../quant/index.ts'
import { invariant, must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import type { WeightedLayer } from '../rounding/weighted-layer.ts'
import { LEARNED } from './activation-sites.ts'
import { type CallWriter, inputsOf, type QuantizerInputs, stateOf } from './call-writer.ts'
import type { PlannedUses } from './planned-uses.ts'

/** How weights are learned: whether each goes up or down, or values and scales, with gradients straight through the rounding. */
export type WeightRule = 'rounding' | 'straight-through'

/** A weight that is learned. */
export interface WeightSite {
  readonly layer: WeightedLayer
  /** What learning began with. */
  readonly start: Tensor
  readonly params: QuantParams
  readonly rule: WeightRule
  readonly inputs: QuantizerInputs
}

/** Puts fake-quantizers on the weights of layers, which begin with `start`. */
export function writeWeights(
  writer: CallWriter,
  planned: readonly PlannedUses[],
  layers: readonly { readonly layer: WeightedLayer; readonly start: Tensor }[],
  rule: WeightRule,
  { params }: QuantizedContext,
): WeightSite[] {
  const here = new Map(planned.map((p) => [p.tensor, p]))
  return layers.map(({ layer, start }) => {
    const { tensor } = layer
    const { value, uses } = must(here.get(tensor), `uses of "${tensor.value}"`)
    const own = must(params.get(tensor.group), `parameters of "${tensor.group}"`)
    value.constant = start
    const placed = writer.place(callFor(own, start, rule), tensor.value, rule === 'rounding' ? 'weight' : 'quantizer')
    insertOn(value, [writer.node(placed, value)], { uses, graph: writer.builder.graph })
    if (rule === 'straight-through') writer.parameters.push({ name: value.name, kind: 'weight' })
    return { layer, start, params: own, rule, inputs: inputsOf(placed) }
  })
}

function callFor(params: QuantParams, start: Tensor, rule: WeightRule): QuantizerCall {
  const cx = { role: 'weight', spec: params.spec, params, shape: start.dims } as const
  if (rule === 'rounding') {
    return FAKE_QUANTIZERS['soft-rounding'].init({ ...cx, values: Float32Array.from(start.numbers()) }, {})
  }
  const call = FAKE_QUANTIZERS.lsq.init(cx, LEARNED)
  // A shift on the backend stays one.
  return params.spec.powerOfTwo ? { ...call, inputs: call.inputs.map((x) => ({ ...x, trained: false })) } : call
}

/** Other constants of the plan but biases, as the numbers that their codes stand for. */
export function roundConstants(
  { builder }: CallWriter,
  planned: readonly PlannedUses[],
  learned: ReadonlySet<TensorPlan>,
  { params }: QuantizedContext,
): void {
  for (const { tensor, value, uses } of planned) {
    const { role, group } = tensor
    if (role === 'activation' || role === 'bias' || learned.has(tensor) || !value.constant) continue
    const { dims } = value.constant
    const numbers = fakeQuantize(value.constant.numbers(), must(params.get(group), 'parameters'), dims)
    replaceUses(uses, builder.constant(`${value.name}_rounded`, Tensor.float32(dims, numbers)))
  }
}

/** What is deployed of a learned weight: numbers on their grid, and the grid. */
export function learnedWeight(
  { start, params, rule, layer, inputs }: WeightSite,
  state: ReadonlyMap<string, Tensor>,
): { readonly weight: Tensor; readonly params: QuantParams } {
  const { dims } = start
  const own = stateOf(inputs, state)
  if (rule === 'straight-through') {
    const found = FAKE_QUANTIZERS.lsq.toParams(params.spec, own, LEARNED)
    const values = must(state.get(layer.weight.name), 'weight').numbers()
    return onGrid(Tensor.float32(dims, fakeQuantize(values, found, dims)), found)
  }
  const values = Float32Array.from(start.numbers())
  const rounded = FAKE_QUANTIZERS['soft-rounding'].deployedWeights?.({ values, dims }, params.spec, own, {})
  return onGrid(Tensor.float32(dims, must(rounded, 'rounded weights')), params)
}

/** Rounding to the nearest has to find the codes again. */
function onGrid(weight: Tensor, params: QuantParams) {
  // 0 in place of −0, which no code stands for.
  const values = Float32Array.from(weight.numbers(), (x) => x + 0)
  const again = fakeQuantize(values, params, weight.dims)
  invariant(
    values.every((x, i) => Math.abs(x - (again[i] as number)) <= 1e-6 * Math.abs(x)),
    () => 'codes of a weight are not found again',
  )
  return { weight: Tensor.float32(weight.dims, values), params }
}
