import { type Model, type Value, valuesByName } from '../ir/index.ts'
import { type Diagnostics, must, problem } from '../util/index.ts'
import { paramsFromRange } from './affine.ts'
import { biasParams, raiseForBias } from './bias.ts'
import { paramsFromData, withoutHeadroom } from './params.ts'
import { groupsOf, type ParamsTable, type QuantPlan, type TensorPlan } from './plan.ts'
import type { QuantParams, Range } from './spec.ts'

export interface ChosenRanges {
  /** Ranges of activations by value name: one for each tensor of `measuredTensors(plan)`. */
  readonly activations: ReadonlyMap<string, Range>
  /** Parameters of weights by group, where something better than minimum and maximum was found. */
  readonly weights?: ParamsTable
}

/**
 * Scale and zero point for every group of a plan, from the ranges that observers chose. Weights without parameters of their
 * own get their exact minimum and maximum; biases follow from inputs and weights.
 * @throws FewbitError PARAMS_MISSING for a measured tensor without a range.
 */
export function resolveParams(
  model: Model,
  plan: QuantPlan,
  chosen: ChosenRanges,
  diagnostics: Diagnostics,
): Map<string, QuantParams> {
  const values = valuesByName(model.graph)
  const params = new Map<string, QuantParams>()
  for (const [group, members] of groupsOf(plan)) {
    const [first] = members
    if (!first || first.source.kind === 'bias') continue
    const isConstant = first.source.kind === 'weight'
    const found = isConstant ? chosen.weights?.get(group) : undefined
    params.set(group, found ?? (isConstant ? fromData(first, values) : fromRanges(members, chosen)))
  }
  resolveBiases(model, plan, params, diagnostics)
  return params
}

/** Sets the parameters of biases from those of inputs and weights, where a bias would leave int32 after raising its weight's scale. */
export function resolveBiases(
  model: Model,
  plan: QuantPlan,
  params: Map<string, QuantParams>,
  diagnostics: Diagnostics,
): void {
  const values = valuesByName(model.graph)
  const biases = plan.tensors.filter((t) => t.source.kind === 'bias')
  for (const bias of biases) raiseForBias(bias, plan, values, params, diagnostics)
  for (const bias of biases) params.set(bias.group, biasParams(bias, values, params))
}

function fromData(tensor: TensorPlan, values: ReadonlyMap<string, Value>): QuantParams {
  const data = must(values.get(tensor.value)?.constant, `constant "${tensor.value}"`)
  return paramsFromData(data.numbers(), data.dims, tensor.spec)
}

function fromRanges(members: readonly TensorPlan[], { activations }: ChosenRanges): QuantParams {
  const { spec, group } = must(members[0], 'member of a group')
  const ranges = members.flatMap((t) => rangeOf(t, activations) ?? [])
  if (ranges.length === 0) throw missing(group)
  const within = withinOf(members)
  const lo = Math.max(Math.min(...ranges.map((r) => r.lo)), within.lo)
  const hi = Math.min(Math.max(...ranges.map((r) => r.hi)), within.hi)
  const { scale, zeroPoint } = paramsFromRange({ lo: Math.min(lo, hi), hi: Math.max(lo, hi) }, spec)
  // A shift stays a shift, and other formats have no topmost code to fit: their kernels clip before they requantize.
  const fixed = spec.powerOfTwo !== undefined || spec.format !== undefined
  const fitting = fixed ? scale : scaleBelow(scale, spec.quantMax - zeroPoint, within.hi)
  return { spec: withoutHeadroom(spec), scale: [fitting], zeroPoint: [zeroPoint] }
}

/** Parameters with a learned scale, made no larger than the bounds of the group's members allow: see `TensorPlan.within`. */
export function scaledWithin(params: QuantParams, members: readonly TensorPlan[]): QuantParams {
  const { hi } = withinOf(members)
  const { spec, zeroPoint } = params
  return { ...params, scale: params.scale.map((s, i) => scaleBelow(s, spec.quantMax - (zeroPoint[i] ?? 0), hi)) }
}

function rangeOf({ source, value }: TensorPlan, ranges: ReadonlyMap<string, Range>): Range | undefined {
  if (source.kind === 'fixed') return source.range
  if (source.kind !== 'calibrate') return undefined
  const range = ranges.get(value)
  if (!range) throw missing(value)
  return range
}

const missing = (value: string) =>
  problem('PARAMS_MISSING', `the plan wants the range of "${value}", and none was measured`, {
    at: { value },
    fix: 'calibrate with the same plan and model',
  })

/** The bounds that hold for each member. Members that share are bounded alike, or not at all. */
function withinOf(members: readonly TensorPlan[]): Range {
  const lo = Math.min(...members.map((t) => t.within?.lo ?? -Infinity))
  const hi = Math.max(...members.map((t) => t.within?.hi ?? Infinity))
  return { lo, hi }
}

/**
 * The largest scale ≤ `scale` whose topmost code does not exceed the bound in float32. ONNX Runtime compares just so before
 * it drops a Clip, and 1.30 refuses to load a model that misses by a little.
 */
function scaleBelow(scale: number, steps: number, bound: number): number {
  if (!Number.isFinite(bound) || Math.fround(steps * scale) <= bound) return scale
  let fitting = Math.fround(bound / steps)
  while (Math.fround(steps * fitting) > bound) fitting = Math.fround(fitting * (1 - 2 ** -24))
  return fitting
}
