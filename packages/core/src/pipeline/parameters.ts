import type { StatsTable, TensorStats } from '../calibration/index.ts'
import type { Model } from '../ir/index.ts'
import { type Observers, observe } from '../observers/index.ts'
import { measuredTensors, type ParamsTable, type QuantPlan, type Range, resolveParams } from '../quant/index.ts'
import { type Diagnostics, must } from '../util/index.ts'

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
  return resolveParams(model, plan, { activations }, diagnostics)
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
