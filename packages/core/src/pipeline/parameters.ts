import type { StatsTable, TensorStats } from '../calibration/index.ts'
import { type Model, type Tensor, valuesByName } from '../ir/index.ts'
import { type Observers, observe, observeConstant, observerNamed, observerOptions } from '../observers/index.ts'
import {
  measuredTensors,
  type ParamsTable,
  type QuantParams,
  type QuantPlan,
  type QuantSpec,
  type Range,
  resolveBiases,
  resolveParams,
} from '../quant/index.ts'
import { Diagnostics, must } from '../util/index.ts'

/** Statistics by value name, from wherever they come. */
export interface StatsSource {
  get(value: string): TensorStats | undefined
}

/** Statistics → parameters: every measured tensor's observer chooses a range, and everything else follows from the plan. */
export function chooseParams(
  model: Model,
  plan: QuantPlan,
  stats: StatsSource,
  diagnostics: Diagnostics,
  observers?: Observers,
): ParamsTable {
  const activations = new Map<string, Range>()
  for (const { value, spec, source } of measuredTensors(plan)) {
    if (source.kind !== 'calibrate') continue
    const found = must(stats.get(value), `statistics of "${value}"`)
    activations.set(value, observe(source.observer, found, spec, source.options, observers))
  }
  return resolveParams(model, plan, { activations, weights: weightParams(model, plan, observers) }, diagnostics)
}

/** Parameters whose biases suit weights, scales and biases that have changed since. */
export function withBiases(model: Model, plan: QuantPlan, params: ParamsTable): Map<string, QuantParams> {
  const all = new Map(params)
  resolveBiases(model, plan, all, new Diagnostics())
  return all
}

/** Parameters of constants for which the plan names another observer than `minmax`, which needs no statistics. */
function weightParams(model: Model, plan: QuantPlan, observers?: Observers): Map<string, QuantParams> {
  const chosen = new Map<string, QuantParams>()
  const others = plan.tensors.filter(({ source }) => source.kind === 'weight' && source.observer !== 'minmax')
  if (others.length === 0) return chosen
  const values = valuesByName(model.graph)
  for (const { value, spec, source, group } of others) {
    if (source.kind !== 'weight' || chosen.has(group)) continue
    const constant = must(values.get(value)?.constant, `constant "${value}"`)
    chosen.set(group, remembered(constant, source.observer, spec, observers))
  }
  return chosen
}

/** Searches try many plans on the same constants, whose parameters do not change. */
const KNOWN = new WeakMap<Tensor, Map<string, QuantParams>>()

function remembered(constant: Tensor, observer: string, spec: QuantSpec, observers?: Observers): QuantParams {
  const known = KNOWN.get(constant) ?? new Map<string, QuantParams>()
  KNOWN.set(constant, known)
  const key = JSON.stringify([observer, spec])
  const params =
    known.get(key) ?? observeConstant(observerNamed(observer, observers), constant.numbers(), constant.dims, spec)
  known.set(key, params)
  return params
}

/** The plan with the user's options for the observer that the user named. */
export function withObserverOptions(plan: QuantPlan, observer: string, options: Record<string, unknown>): QuantPlan {
  if (Object.keys(options).length === 0) return plan
  const tensors = plan.tensors.map((tensor) => {
    const { source } = tensor
    const isNamed = source.kind === 'calibrate' && source.observer === observer
    return isNamed ? { ...tensor, source: { ...source, options } } : tensor
  })
  return { ...plan, tensors }
}

/** What observers have to say of statistics that are too thin for them: once for each sentence. */
export function warnOfThinStats(
  plan: QuantPlan,
  stats: StatsSource,
  observers: Observers,
  diagnostics: Diagnostics,
): void {
  const places = new Map<string, string[]>()
  for (const { value, spec, source } of measuredTensors(plan)) {
    const found = stats.get(value)
    if (source.kind !== 'calibrate' || !found) continue
    const { name, caution } = observerNamed(source.observer, observers)
    const text = caution?.(found, spec, observerOptions(name, source.options, observers))
    if (text) places.set(`${name}: ${text}`, [...(places.get(`${name}: ${text}`) ?? []), value])
  }
  for (const [text, [first = '', ...more]] of places) {
    const others = more.length > 0 ? { notes: [`and ${more.length} more`] } : {}
    diagnostics.info('OBSERVER_THIN', text, { at: { value: first }, ...others, fix: 'give more calibration samples' })
  }
}

/**
 * Statistics of one plan for plans that quantize less. A value that followed another one may have to be measured itself
 * once that one stays in float; all its elements are elements of the other, whose statistics then serve.
 */
export function statsFor(plan: QuantPlan, stats: StatsTable): StatsSource {
  const leaders = new Map(
    plan.tensors.flatMap(({ value, source }) => (source.kind === 'follow' ? [[value, source.value]] : [])),
  )
  const find = (value: string | undefined, depth = 0): TensorStats | undefined =>
    value === undefined || depth > leaders.size ? undefined : (stats.get(value) ?? find(leaders.get(value), depth + 1))
  return { get: (value) => find(value) }
}
