import type { StatsTable } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { materialize, type ParamsTable, type PlannerOptions, type QuantPlan } from '../quant/index.ts'
import { Diagnostics } from '../util/index.ts'
import type { QuantizeSettings } from './options.ts'
import { outputError, type ReferenceOutputs, referenceOutputs } from './output-error.ts'
import { chooseParams } from './parameters.ts'
import type { ProgressCallback, Run } from './run.ts'

/** What the search decided, and what it measured on the way. JSON. */
export interface Choice {
  readonly observer: string
  /** Nodes that stay in float because quantizing them costs more accuracy than it is worth. */
  readonly floatNodes: readonly string[]
  readonly trials: readonly Trial[]
}

export interface Trial {
  readonly what: string
  /** SQNR of the outputs, in dB. */
  readonly sqnr: number
  readonly kept: boolean
}

export interface Candidate {
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

export interface SearchContext {
  readonly float: Model
  readonly stats: StatsTable
  readonly data: Dataset
  readonly settings: QuantizeSettings
  readonly run: Run
  readonly progress: ProgressCallback
  readonly plan: (options: PlannerOptions) => QuantPlan
}

export interface SearchResult extends Candidate {
  readonly summary: Choice
}

const OBSERVER_TRIALS = ['minmax', 'percentile', 'mse', 'entropy'] as const

export async function searchPlan(cx: SearchContext): Promise<SearchResult> {
  const reference = await referenceOutputs(cx)
  const trials: Trial[] = []
  let best: { sqnr: number; observer: string; candidate: Candidate } | undefined
  const names = cx.settings.observer === 'auto' ? OBSERVER_TRIALS : [cx.settings.observer]
  for (const observer of names) {
    const candidate = candidateFor(cx, { observer })
    const sqnr = await trySqnr(cx, candidate, reference)
    trials.push({ what: `observer ${observer}`, sqnr, kept: false })
    if (!best || sqnr > best.sqnr) best = { sqnr, observer, candidate }
  }
  const won = best as NonNullable<typeof best>
  return { ...won.candidate, summary: { observer: won.observer, floatNodes: [], trials } }
}

export function candidateFor(cx: SearchContext, options: PlannerOptions): Candidate {
  const plan = cx.plan(options)
  return { plan, params: chooseParams(cx.float, plan, cx.stats, new Diagnostics()) }
}

export function trySqnr(cx: SearchContext, { plan, params }: Candidate, reference: ReferenceOutputs): Promise<number> {
  const model = materialize(cloneModel(cx.float), plan, params)
  return outputError(model, reference, cx.run)
}
