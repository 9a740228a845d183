import type { StatsTable } from '../calibration/index.ts'
import type { Model } from '../ir/index.ts'
import { observe } from '../observers/index.ts'
import { measuredTensors, type ParamsTable, type QuantPlan, type Range, resolveParams } from '../quant/index.ts'
import { type Diagnostics, must } from '../util/index.ts'

/** Statistics → parameters: every measured tensor's observer chooses a range, and everything else follows from the plan. */
export function chooseParams(model: Model, plan: QuantPlan, stats: StatsTable, diagnostics: Diagnostics): ParamsTable {
  const activations = new Map<string, Range>()
  for (const { value, spec, source } of measuredTensors(plan)) {
    if (source.kind !== 'calibrate') continue
    const found = must(stats.get(value), `statistics of "${value}"`)
    activations.set(value, observe(source.observer, found, spec, source.options))
  }
  return resolveParams(model, plan, { activations }, diagnostics)
}
