import { cloneModel, type Model } from '../../ir/index.ts'
import {
  measuredTensors,
  type ParamsTable,
  type QuantPlan,
  type Range,
  resolveParams,
  type Target,
} from '../../quant/index.ts'
import { Diagnostics } from '../../util/index.ts'
import { exporterNamed } from '../export.ts'
import type { Registries } from '../plugin.ts'
import { type Finding, fromDiagnostic } from './finding.ts'

/**
 * What the backend's forms cannot hold. The first is what the backend reads, so that its refusals are errors.
 * @param params those of a quantized file; without them ranges are assumed, which decides nothing about the structure.
 */
export function refusals(
  float: Model,
  plan: QuantPlan,
  params: ParamsTable | undefined,
  target: Target,
  registries: Registries,
): Finding[] {
  const cx = { name: 'model', plan, params: params ?? assumed(float, plan), target, ops: registries.ops }
  return target.exporters.flatMap((name, i) => {
    const found = exporterNamed(name, registries).check({ ...cx, model: cloneModel(float) })
    const shown = i === 0 ? found : found.filter((d) => d.level === 'error')
    return shown.map((d) => {
      const finding = fromDiagnostic(d)
      return { ...finding, level: i === 0 ? d.level : ('info' as const), message: `${name}: ${d.message}` }
    })
  })
}

/** −1 to 1 for what is measured, cut where a clip behind it cuts. */
function assumed(float: Model, plan: QuantPlan): ParamsTable {
  const range = (lo = -1, hi = 1): Range => ({ lo: Math.max(lo, -1), hi: Math.min(hi, 1) })
  const activations = new Map(measuredTensors(plan).map((t) => [t.value, range(t.within?.lo, t.within?.hi)]))
  return resolveParams(float, plan, { activations }, new Diagnostics())
}
