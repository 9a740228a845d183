import { type AlgorithmRequest, chooseAlgorithms, normStatistics } from '../algorithms/index.ts'
import { collectStats, requestsForPlan } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { type Observers, observerOptions } from '../observers/index.ts'
import { checkStage, type TraceEvent } from '../passes/index.ts'
import {
  type Dispatch,
  defaultScheme,
  materialize,
  type Override,
  type ParamsTable,
  type PlannerOptions,
  planQuantization,
  type QuantPlan,
  requiredOpset,
  type Target,
} from '../quant/index.ts'
import { findTarget } from '../targets/index.ts'
import { type Diagnostic, FewbitError, formatDiagnostic, invariant, problem } from '../util/index.ts'
import { adjustQuantized, algorithmsFor, rewriteFloat } from './algorithms.ts'
import { type Data, datasetFor, lookAt } from './data.ts'
import { digested } from './data-digest.ts'
import { type Execution, executionFor } from './execution.ts'
import type { Candidate } from './judge.ts'
import { latentTensors } from './latent-tensors.ts'
import { batchSizeFor, macsOnData } from './macs.ts'
import { parseSettings, type QuantizeSettings, quantizeSettings } from './options.ts'
import { referenceOutputs } from './output-error.ts'
import { statsFor, warnOfThinStats, withObserverOptions } from './parameters.ts'
import { prepare } from './prepare.ts'
import { measure, type QuantizeReport } from './quantize-report.ts'
import { type Recipe, recipeOf, stampModel } from './recipe.ts'
import { candidateOf, checkData, checkOrigin, recordedChoice, replayedSettings } from './replay.ts'
import { type ProgressCallback, Run, type RunOptions } from './run.ts'
import { searchPlan } from './search.ts'

export interface QuantizeOptions extends RunOptions {
  readonly target?: string
  /** Default the target's, which is `w8a8` mostly. */
  readonly scheme?: string
  readonly calibration: {
    readonly data: Data
    /** Default 128, evenly spread over the data. */
    readonly samples?: number
    /** `auto` (default) or a name from `OBSERVERS`. */
    readonly observer?: string
    readonly observerOptions?: Readonly<Record<string, number>>
    readonly batchSize?: number
  }
  /** Scored before and after. Without it, errors on the calibration data are reported and called so. */
  readonly evaluation?: { readonly data: Data; readonly samples?: number; readonly metrics?: readonly string[] }
  /** A name from `OBSERVERS`; default `minmax`. */
  readonly weightObserver?: string
  readonly perTensor?: boolean
  readonly activations?: 'signed' | 'unsigned'
  /** Who is quantized; default the target's habit. */
  readonly dispatch?: Dispatch
  /** Default `float`, except on targets that run integers only. */
  readonly tails?: 'float' | 'quantize'
  /** Bits of the first and the last layer, whatever the scheme. */
  readonly edgeBits?: number
  readonly overrides?: readonly Override[]
  /** By name, or with options; they run in the order of the registry. */
  readonly algorithms?: readonly (string | AlgorithmRequest)[]
  readonly floatOps?: readonly string[]
  /** Names of nodes to leave in float: a list of sensitive ones, for instance. */
  readonly floatNodes?: readonly string[]
  /** Default `float`: layers at the input that are too small for integer kernels to be faster stay in float. */
  readonly smallLayers?: 'float' | 'integer'
  readonly seed?: number
  /**
   * Repeats an earlier run: settings and choice come from the recipe, and nothing is searched. With the same model and data the result
   * has the same bytes. Only `target` and `scheme` may be given beside it.
   */
  readonly recipe?: Recipe
  /** Takes data whose digest is not the recipe's, with a warning. */
  readonly allowOtherData?: boolean
}

export interface QuantizeResult {
  readonly model: Model
  /** The prepared float network that plan and parameters speak of, as algorithms left it: what exporters start from. */
  readonly float: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly report: QuantizeReport
  readonly recipe: Recipe
  readonly trace: readonly TraceEvent[]
  readonly diagnostics: readonly Diagnostic[]
}

/** Planning needs no data. */
export type PlanOptions = Omit<QuantizeOptions, DataParts>

export interface PlanResult {
  readonly plan: QuantPlan
  /** The prepared network that the plan speaks of. */
  readonly float: Model
  readonly trace: readonly TraceEvent[]
  readonly diagnostics: readonly Diagnostic[]
}

/** Decides who is quantized and how, without data. The caller's model is not changed. */
export async function planModel(model: Model, options: PlanOptions): Promise<PlanResult> {
  const run = new Run(options)
  const settings = settingsOf(options, run)
  const { float, plan } = await prepareAndPlan(model, settings, run)
  return { plan, float, trace: run.trace, diagnostics: [...run.diagnostics.list, ...plan.diagnostics] }
}

/**
 * Quantizes a float network: prepare, plan, calibrate in one pass, choose by measuring, write QDQ, measure what it cost. The
 * caller's model is not changed.
 * @throws FewbitError PLAN_ALREADY_QUANTIZED, SPEC_TRAINING, CALIB_*, DATA_*, OPTION_*, RECIPE_*; the signal's reason when aborted.
 */
export async function quantize(model: Model, options: QuantizeOptions): Promise<QuantizeResult> {
  const run = new Run(options)
  const settings = settingsOf(options, run)
  const target = targetOf(settings, run)
  const execution = executionFor(target)
  const { recipe: replayed } = options
  if (replayed) checkOrigin(replayed, model, run)
  const algorithms = algorithmsFor(settings, true, run)
  const prepared = await prepareAndPlan(model, settings, run)
  const looked = await openData(prepared.float, options, settings, run)
  const { dataset, data, batchSize } = looked
  const around = { settings, target, norms: normStatistics(model), data: dataset, batchSize, run }
  const rewritten = await rewriteFloat(prepared.float, algorithms, looked.outputsOf(prepared.float), around)
  const { float, plan: first } =
    rewritten.model === prepared.float ? prepared : replanned(rewritten.model, settings, run)
  const macs = await macsOnData(float, data, run)
  const stats = await run.stage('calibrate', (progress) =>
    calibrate({ float, first, target, data, batchSize, settings, run, progress }),
  )
  const dataDigest = data.digest()
  if (replayed) checkData(replayed, dataDigest, options.allowOtherData ?? false, run)
  const plan = (o: PlannerOptions) => makePlan(float, settings, run, o)
  const cx = { float, first, stats, data, macs, batchSize, settings, execution, run, plan }
  const found = await run.stage('search', (progress) =>
    replayed
      ? candidateOf(recordedChoice(replayed, target), cx)
      : searchPlan({ ...cx, progress, mayKeepFloat: target.fallback !== 'none' }),
  )
  warnOfThinStats(found.plan, statsFor(first, stats), run.registries.observers, run.diagnostics)
  const adjusted = await adjustQuantized(float, found, algorithms, looked.outputsOf(float), { ...around, execution })
  const quantized = await run.stage('write', () => write(adjusted.model, adjusted, execution, run))
  const { choice } = found
  const same = replayed?.dataDigest === dataDigest ? replayed : { data: data.toJSON(), inputs: looked.inputs }
  const facts = { model, settings, choice, batchSize, data: same.data, inputs: same.inputs, dataDigest, stats }
  const recipe = recipeOf(facts, run)
  stampModel(quantized, recipe)
  const records = [...rewritten.records, ...adjusted.records]
  const shared = { float, quantized, choice, data, batchSize, options, execution, algorithms: records }
  const report = await measure({ original: model, plan: found.plan, samples: settings.samples, ...shared }, run)
  const { params, model: written } = adjusted
  const diagnostics = [...run.diagnostics.list, ...found.plan.diagnostics]
  return { model: quantized, float: written, plan: found.plan, params, report, recipe, trace: run.trace, diagnostics }
}

/** The data of a run, looked at, and how many samples run together. */
async function openData(float: Model, options: QuantizeOptions, settings: QuantizeSettings, run: Run) {
  const dataset = await datasetFor(options.calibration.data, float)
  const data = digested(dataset)
  const inputs = await run.stage('check data', () => lookAt(float, data, run))
  const macs = await macsOnData(float, data, run)
  const batchSize = options.recipe?.batchSize ?? settings.batchSize ?? batchSizeFor(macs)
  const outputsOf = (network: Model) => () => referenceOutputs({ float: network, data: dataset, run, batchSize, macs })
  return { dataset, data, inputs, batchSize, outputsOf }
}

interface Calibration {
  readonly float: Model
  readonly first: QuantPlan
  readonly target: Target
  readonly data: Dataset
  readonly batchSize: number
  readonly settings: QuantizeSettings
  readonly run: Run
  readonly progress: ProgressCallback
}

/** One pass over the data for all that any plan of the search may need. */
function calibrate({ float, first, target, data, batchSize, settings, run, progress }: Calibration) {
  const { samples } = settings
  const total = Math.min(samples, data.length ?? samples)
  const onProgress = ({ samples: done }: { samples: number }) => progress(done, total)
  const tensors = [...first.tensors, ...latentTensors(float, first, target)]
  const requests = requestsForPlan({ ...first, tensors }, run.registries.observers)
  const options = { samples, batchSize, onProgress, ...elementsFor(settings, run), ...run.signal }
  return collectStats(float, run.engine, data, requests, options)
}

const targetOf = ({ target }: QuantizeSettings, { registries }: Run): Target => findTarget(target, registries.targets)

/** The float network at an opset that can say what the plan wants: 4 and 16 bits came later than 8. */
async function prepareAndPlan(model: Model, settings: QuantizeSettings, run: Run) {
  const target = findTarget(settings.target, run.registries.targets)
  const float = await run.stage('prepare', () => prepare(model, target, run))
  const plan = await run.stage('plan', () => makePlan(float, settings, run))
  checkFloat(float, run)
  const needed = opsetFor(plan, targetOf(settings, run), run)
  if (plan.tensors.length === 0 || float.opset() >= needed) return { float, plan }
  const raised = await run.stage('prepare', () => prepare(model, target, run, needed))
  return { float: raised, plan: await run.stage('plan', () => makePlan(raised, settings, run)) }
}

/** The plan of a network that algorithms have rewritten. */
const replanned = (float: Model, settings: QuantizeSettings, run: Run) => ({
  float,
  plan: makePlan(float, settings, run),
})

/** Enough for the backend's file, or at least for the form that is run here where the engine does not know later opsets. */
function opsetFor(plan: QuantPlan, target: Target, run: Run): number {
  const forFile = Math.max(requiredOpset(plan, 'qdq'), target.minOpset)
  const { form } = executionFor(target)
  return forFile <= run.engine.capabilities.maxOpset ? forFile : requiredOpset(plan, form)
}

/** The plain-data part of the options, checked and completed. */
function settingsOf(options: PlanOptions & Partial<Pick<QuantizeOptions, DataParts>>, run: Run): QuantizeSettings {
  const { engine: _e, signal: _s, onProgress: _p, ops: _o, extensions: _x, ...own } = options
  const { calibration, evaluation, recipe, allowOtherData: _a, ...rest } = own
  const { data: _d, ...calibrate } = calibration ?? { data: undefined }
  const stated = { ...rest, ...calibrate }
  const given = recipe ? replayedSettings(recipe, stated) : stated
  const metrics = evaluation?.metrics
  const known = quantizeSettings(run.registries.observers)
  const parsed = parseSettings(known, { ...given, ...(metrics ? { metrics } : {}) })
  checkObserverOptions(parsed.observer, parsed.observerOptions, run.registries.observers)
  chooseAlgorithms(parsed.algorithms, run.registries.algorithms)
  return { ...parsed, scheme: parsed.scheme ?? defaultScheme(findTarget(parsed.target, run.registries.targets)) }
}

type DataParts = 'calibration' | 'evaluation' | 'recipe' | 'allowOtherData'

/** @throws FewbitError OBSERVER_OPTION for options of no observer in particular, and those that the observer does not have. */
function checkObserverOptions(observer: string, options: Record<string, unknown>, observers: Observers): void {
  if (Object.keys(options).length === 0) return
  if (observer !== 'auto') {
    observerOptions(observer, options, observers)
    return
  }
  const fix = `name the observer that has ${Object.keys(options).join(', ')}`
  throw problem('OBSERVER_OPTION', 'observer options need an observer', { at: { option: 'observerOptions' }, fix })
}

/** Histograms are sampled, unless the one observer that is asked for needs every element. */
const elementsFor = ({ observer }: QuantizeSettings, { registries }: Run): { elements?: number } =>
  registries.observers[observer]?.exhaustive ? { elements: Number.POSITIVE_INFINITY } : {}

/** @throws FewbitError SPEC_TRAINING for a network that would train. */
function checkFloat(float: Model, run: Run): void {
  const found = checkStage(float, 'float', run.ops)
  if (found.length > 0) throw new FewbitError(found)
}

function write(float: Model, { plan, params }: Candidate, { form }: Execution, run: Run): Model {
  const model = materialize(cloneModel(float), plan, params, { form })
  const found = checkStage(model, 'qdq', run.ops)
  invariant(found.length === 0, () => `the quantized network is not sound: ${found.map(formatDiagnostic).join('; ')}`)
  return model
}

function makePlan(float: Model, settings: QuantizeSettings, run: Run, options: PlannerOptions = {}): QuantPlan {
  const { scheme, perTensor, activations, weightObserver, floatOps, smallLayers, dispatch, tails, edgeBits } = settings
  const overrides = settings.overrides as readonly Override[]
  const observer = settings.observer === 'auto' ? 'mse' : settings.observer
  const plan = planQuantization(float, targetOf(settings, run), run.ops, {
    scheme,
    perTensor,
    ...(activations ? { activations } : {}),
    ...(dispatch ? { dispatch } : {}),
    ...(tails ? { tails } : {}),
    ...(edgeBits ? { edgeBits } : {}),
    weightObserver,
    observer,
    overrides,
    floatOps,
    smallLayers,
    ...options,
    floatNodes: [...settings.floatNodes, ...(options.floatNodes ?? [])],
  })
  return withObserverOptions(plan, settings.observer, settings.observerOptions)
}
