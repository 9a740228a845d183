import type { StatsTable } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import { asTensor, type Model } from '../ir/index.ts'
import type { Observers } from '../observers/index.ts'
import type { PlannerOptions, QuantPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { Execution } from './execution.ts'
import { keepFloat } from './float-exceptions.ts'
import { worstNodes } from './float-worst.ts'
import { type Candidate, Judge, type Judged, type Trial } from './judge.ts'
import { withMacs } from './macs.ts'
import type { QuantizeSettings } from './options.ts'
import { referenceOutputs } from './output-error.ts'
import { statsFor } from './parameters.ts'
import { refineObservers } from './refine-observers.ts'
import type { ProgressCallback, Run } from './run.ts'

/** What the search decided, and what it measured on the way. JSON. */
export interface Choice {
  readonly observer: string
  /** Values whose range another observer chooses. */
  readonly observers: Readonly<Record<string, string>>
  /** Nodes that stay in float because quantizing them costs more accuracy than it is worth. */
  readonly floatNodes: readonly string[]
  readonly trials: readonly Trial[]
}

export interface SearchContext {
  readonly float: Model
  /** The plan that the statistics were collected for: it quantizes at least what any later plan does. */
  readonly first: QuantPlan
  readonly stats: StatsTable
  readonly data: Dataset
  readonly macs: ReadonlyMap<string, number>
  readonly batchSize: number
  readonly settings: QuantizeSettings
  /** False where the backend runs integers only. */
  readonly mayKeepFloat: boolean
  readonly execution: Execution
  readonly run: Run
  readonly progress: ProgressCallback
  readonly plan: (options: PlannerOptions) => QuantPlan
}

export interface SearchResult extends Candidate {
  readonly choice: Choice
}

/** What the steps of the search share. */
export interface SearchState {
  readonly judge: Judge
  readonly plan: (options: PlannerOptions) => QuantPlan
  readonly macs: ReadonlyMap<string, number>
  readonly stats: ReturnType<typeof statsFor>
  readonly observers: Observers
  options: PlannerOptions
  best: Judged
}

/**
 * SQNR of outputs, in dB, from which on nothing more is searched. Class scores only have to keep their order; pictures,
 * boxes and the like are used as they come.
 */
const GOOD_SQNR = { scores: 28, dense: 36 }

/** Maps with spatial axes are dense; everything else is scores, for each sample or for each position. */
function outputKind(float: Model): 'scores' | 'dense' {
  const hasSpace = float.graph.outputs.some((value) => {
    const spatial = asTensor(value.type)?.shape?.slice(2) ?? []
    return spatial.length >= 2 && spatial.some((size) => size !== 1)
  })
  return hasSpace ? 'dense' : 'scores'
}

/**
 * Chooses by measuring output errors on a few calibration samples: first the observer of all activations, then, where the
 * result is not good yet, the observers of single tensors and the nodes that had better stay in float. The number of trials
 * is bounded and does not depend on the machine, so that a run can be repeated to the same result.
 */
export async function searchPlan(cx: SearchContext): Promise<SearchResult> {
  const { float, run, settings, macs } = cx
  const stats = statsFor(cx.first, cx.stats)
  const judge = new Judge(float, stats, await referenceOutputs(cx), cx.execution, run, cx.progress)
  const anyPlan = (options: PlannerOptions): QuantPlan => withMacs(cx.plan(options), macs)
  const worst = settings.floatWorst > 0 ? await worstNodes(cx, anyPlan, stats) : []
  const plan = (options: PlannerOptions): QuantPlan =>
    anyPlan({ ...options, floatNodes: [...worst, ...(options.floatNodes ?? [])] })
  if (settings.observer !== 'auto') return fixedObserver(settings.observer, plan, judge, worst)

  const kind = outputKind(float)
  const { observer, best } = await chooseObserver(plan, judge)
  const { observers: known } = run.registries
  const state: SearchState = { judge, plan, macs, stats, observers: known, options: { observer }, best }
  if (best.sqnr < GOOD_SQNR[kind]) {
    await refineObservers(state)
    if (cx.mayKeepFloat && state.best.sqnr < GOOD_SQNR[kind]) await keepFloat(state, kind)
  }
  const { observers = {}, floatNodes = [] } = state.options
  return { ...state.best, choice: { observer, observers, floatNodes: [...worst, ...floatNodes], trials: judge.trials } }
}

async function fixedObserver(
  observer: string,
  plan: SearchState['plan'],
  judge: Judge,
  floatNodes: readonly string[],
): Promise<SearchResult> {
  const judged = await judge.measure(`observer ${observer}`, plan({ observer }), () => true)
  return { ...judged, choice: { observer, observers: {}, floatNodes, trials: judge.trials } }
}

const OBSERVER_TRIALS = ['mse', 'minmax', 'percentile', 'entropy'] as const

async function chooseObserver(plan: SearchState['plan'], judge: Judge): Promise<{ observer: string; best: Judged }> {
  let found: { observer: string; best: Judged } | undefined
  for (const observer of OBSERVER_TRIALS) {
    const isBetter = (sqnr: number): boolean => !found || sqnr > found.best.sqnr
    const judged = await judge.measure(`observer ${observer}`, plan({ observer }), isBetter)
    if (isBetter(judged.sqnr)) found = { observer, best: judged }
  }
  return must(found, 'observer')
}
