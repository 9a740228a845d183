import { type Tensor, valuesByName } from '../../ir/index.ts'
import { OBSERVERS, observeConstant } from '../../observers/index.ts'
import { fakeQuantize, forEachRun, isBinary, type QuantParams, type TensorPlan } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { AlgorithmOutcome, QuantizedContext } from '../algorithm.ts'

/**
 * Gives each scale of each weight, of a tensor, channel or group, the share of its extremes at which Σ |w − ŵ|^p is least. A scale stays
 * where the search finds nothing better.
 */
export function searchByWeights({ model, plan, params }: QuantizedContext, p: number): AlgorithmOutcome {
  const values = valuesByName(model.graph)
  const observer = { ...OBSERVERS.lp, defaults: { ...OBSERVERS.lp.defaults, p } }
  const changed = new Set<string>()
  const layers = []
  for (const { value, group, spec, readers } of searchable(plan.tensors)) {
    const weight = must(values.get(value)?.constant, `constant "${value}"`)
    const start = must(params.get(group), `parameters of "${group}"`)
    const found = betterOf(start, observeConstant(observer, weight.numbers(), weight.dims, spec), weight, p)
    layers.push({ weight: value, before: found.before, after: found.after })
    if (found.after >= found.before) continue
    params.set(group, found.params)
    for (const reader of readers) changed.add(reader)
  }
  return { changed: [...changed], details: { layers } }
}

/** Weights that have their parameters to themselves; the best scale of signs is known. */
function searchable(tensors: readonly TensorPlan[]): TensorPlan[] {
  const users = new Map<string, number>()
  for (const { group } of tensors) users.set(group, (users.get(group) ?? 0) + 1)
  return tensors.filter(
    ({ role, group, spec }) => role === 'weight' && users.get(group) === 1 && !isBinary(spec.format),
  )
}

/** For each scale the better one of two. */
function betterOf(start: QuantParams, found: QuantParams, weight: Tensor, p: number) {
  const [old, fresh] = [start, found].map((params) => errors(params, weight, p)) as [Float64Array, Float64Array]
  const isBetter = old.map((error, i) => Number((fresh[i] as number) < error))
  const choose = (of: (params: QuantParams) => readonly number[]) =>
    of(start).map((x, i) => (isBetter[i] ? (of(found)[i] as number) : x))
  const sum = (list: Float64Array) => list.reduce((a, b) => a + b, 0)
  return {
    params: { spec: start.spec, scale: choose(({ scale }) => scale), zeroPoint: choose(({ zeroPoint }) => zeroPoint) },
    before: sum(old),
    after: sum(old.map((error, i) => Math.min(error, fresh[i] as number))),
  }
}

/** Σ |w − ŵ|^p of the elements of each scale. */
function errors(params: QuantParams, weight: Tensor, p: number): Float64Array {
  const values = weight.numbers()
  const noise = params.spec.rounding === 'stochastic' ? [0.5] : undefined
  const rounded = fakeQuantize(values, params, weight.dims, noise)
  const sums = new Float64Array(params.scale.length)
  forEachRun(weight.dims, params.spec.granularity, (start, end, at) => {
    for (let i = start; i < end; i++) {
      sums[at] = (sums[at] as number) + Math.abs((values[i] as number) - (rounded[i] as number)) ** p
    }
  })
  return sums
}
