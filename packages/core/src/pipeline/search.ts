import type { StatsTable } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import { asTensor, type Model } from '../ir/index.ts'
import type { Observers } from '../observers/index.ts'
import type { ParamsTable, PlannerOptions, QuantPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { Execution } from './execution.ts'
import { keepFloat } from './float-exceptions.ts'
import { worstNodes } from './float-worst.ts'
import { type Candidate, Judge, type Judged, type Trial } from './judge.ts'
import { withMacs } from './macs.ts'
import { chooseByReaders } from './observers-by-readers.ts'
import type { QuantizeSettings } from './options.ts'
import { type OutputErrors, type ReferenceOutputs, referenceOutputs } from './output-error.ts'
import { statsFor } from './parameters.ts'
import { refineObservers } from './refine-observers.ts'
import type { ProgressCallback, Run } from './run.ts'
import { type ShadowError, type ShadowTrial, shadowErrors } from './shadow-layers.ts'

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
  readonly float: Model
  /** What some observers make of the plan, each for all activations. */
  readonly candidates: readonly { readonly observer: string; readonly params: ParamsTable }[]
  /** On the samples that candidates are judged by, one by one. */
  readonly shadowErrors: (trials: readonly ShadowTrial[]) => Promise<ShadowError[]>
  /** What errors are judged by, in dB. */
  readonly judgedBy: keyof OutputErrors
  /** Than the best one so far. */
  readonly isBetter: (errors: OutputErrors) => boolean
  options: PlannerOptions
  best: Judged
}

/**
 * SQNR of outputs, in dB, from which on nothing more is searched. Class scores only have to keep their order; pictures,
 * boxes and the like are used as they come.
 */
const GOOD_SQNR = { scores: 28, dense: 36 }

/**
 * Where samples' own SQNR lies, on average, that many dB below that of all together, a few samples with large values hold most of the signal. All
 * that is said of the others would be lost among them, and samples count alike instead.
 */
const UNEVEN = 6
/** Gains below this many dB are within what a few samples can tell. */
const MIN_GAIN = 0.1

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
  const reference = await referenceOutputs(cx)
  const judge = new Judge(float, stats, reference, cx.execution, run, cx.progress)
  const anyPlan = (options: PlannerOptions): QuantPlan => withMacs(cx.plan(options), macs)
  const worst = settings.floatWorst > 0 ? await worstNodes(cx, anyPlan, stats) : []
  const plan = (options: PlannerOptions): QuantPlan =>
    anyPlan({ ...options, floatNodes: [...worst, ...(options.floatNodes ?? [])] })
  if (settings.observer !== 'auto') return fixedObserver(settings.observer, plan, judge, worst)

  const kind = outputKind(float)
  const first = await chooseObserver(plan, judge)
  const { judgedBy } = first
  const state: SearchState = {
    ...{ judge, plan, macs, stats, float, observers: run.registries.observers, ...first },
    options: { observer: first.observer },
    shadowErrors: (trials) => shadowErrors(float, trials, shadowOptions(cx, reference)),
    isBetter: (errors) => errors[judgedBy] > state.best[judgedBy] + MIN_GAIN,
  }
  const isGood = () => state.best[judgedBy] >= GOOD_SQNR[kind]
  if (!isGood()) await chooseByReaders(state)
  if (!isGood()) await refineObservers(state)
  if (!isGood() && cx.mayKeepFloat) await keepFloat(state, kind)
  const { observers = {}, floatNodes = [] } = state.options
  const choice = { observer: first.observer, observers, floatNodes: [...worst, ...floatNodes], trials: judge.trials }
  return { ...state.best, choice }
}

/** Samples one by one, so that each has an error of its own. */
const shadowOptions = ({ run, data, execution }: SearchContext, reference: ReferenceOutputs) => ({
  ...{ engine: run.engine, data, form: execution.form, batchSize: 1 },
  ...{ limit: reference.reduce((n, { batch }) => n + batch.samples.length, 0), ...run.signal },
})

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

/** Tries one observer for all activations, each of some, and says by which figure the best of them was told. */
async function chooseObserver(plan: SearchState['plan'], judge: Judge) {
  const candidates: { observer: string; judged: Judged }[] = []
  for (const observer of OBSERVER_TRIALS) {
    candidates.push({ observer, judged: await judge.measure(`observer ${observer}`, plan({ observer })) })
  }
  const best = (by: keyof OutputErrors) => candidates.reduce((a, b) => (b.judged[by] > a.judged[by] ? b : a)).judged
  const { sqnr, typical } = best('sqnr')
  const judgedBy: keyof OutputErrors = sqnr > typical + UNEVEN ? 'typical' : 'sqnr'
  const found = best(judgedBy)
  const { observer } = must(
    candidates.find(({ judged }) => judged === found),
    'observer',
  )
  judge.keep(`observer ${observer}`)
  return { observer, best: found, judgedBy, candidates: candidates.map((c) => ({ ...c, params: c.judged.params })) }
}
