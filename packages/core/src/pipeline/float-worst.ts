import { layerwiseError } from '../analysis/index.ts'
import type { PlannerOptions, QuantPlan } from '../quant/index.ts'
import { Diagnostics, problem } from '../util/index.ts'
import { isMeasured } from './float-exceptions.ts'
import { chooseParams, type StatsSource } from './parameters.ts'
import type { SearchContext } from './search.ts'

/** Samples that layers are measured on. */
const SAMPLES = 32

/**
 * The layers with products whose own quantization costs the outputs most, worst first: PPQ's way to partial quantization, which is to
 * analyse layer by layer and give the worst ones back to float.
 * @throws FewbitError FLOAT_WORST where nothing may stay in float.
 */
export async function worstNodes(
  cx: SearchContext,
  plan: (options: PlannerOptions) => QuantPlan,
  stats: StatsSource,
): Promise<string[]> {
  const { float, data, batchSize, execution, run, settings } = cx
  if (!cx.mayKeepFloat) {
    throw problem('FLOAT_WORST', 'the backend runs integers only, so that no layer can be left in float', {
      at: { option: 'float-worst' },
    })
  }
  const full = plan({})
  const params = chooseParams(float, full, stats, new Diagnostics(), run.registries.observers)
  const network = { float, adjusted: float, plan: full, params, form: execution.form }
  const options = { engine: run.engine, data, ops: run.ops, load: execution.load, limit: SAMPLES, batchSize }
  const errors = await layerwiseError(network, { ...options, ...run.signal })
  const worst: string[] = []
  const sorted = errors.filter(({ layer }) => (layer.macs ?? 0) > 0).sort((a, b) => rank(a.isolated) - rank(b.isolated))
  for (const { layer } of sorted) {
    if (worst.length === settings.floatWorst) break
    if (isMeasured(plan({ floatNodes: [...worst, layer.node] }), { stats })) worst.push(layer.node)
  }
  return worst
}

/** NaN, which a broken layer makes, is worse than any number. */
const rank = ({ sqnr }: { readonly sqnr: number }): number => (Number.isNaN(sqnr) ? Number.NEGATIVE_INFINITY : sqnr)
