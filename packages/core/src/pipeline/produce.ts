import { normStatistics } from '../algorithms/index.ts'
import { collectStats, requestsForPlan, type StatRequest } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import type { PlannerOptions, QuantPlan, Target } from '../quant/index.ts'
import { type AlgorithmRecord, adjustQuantized, algorithmsFor, rewriteFloat } from './algorithms.ts'
import { calibrationData, datasetFor, lookAt } from './data.ts'
import { digested } from './data-digest.ts'
import { produceWithoutData } from './data-free.ts'
import { type Execution, executionFor } from './execution.ts'
import { finish } from './finish.ts'
import type { Candidate } from './judge.ts'
import { latentTensors } from './latent-tensors.ts'
import { batchSizeFor, macsOnData } from './macs.ts'
import { makePlan, prepareAndPlan, replanned, targetOf } from './make-plan.ts'
import type { QuantizeSettings } from './options.ts'
import { referenceOutputs } from './output-error.ts'
import { statsFor, warnOfThinStats } from './parameters.ts'
import { PartsCheckpoint } from './parts-checkpoint.ts'
import type { QuantizeOptions } from './quantize.ts'
import type { Recipe } from './recipe.ts'
import { candidateOf, checkData, checkOrigin, recordedChoice } from './replay.ts'
import type { ProgressCallback, Run } from './run.ts'
import { type Choice, searchPlan } from './search.ts'
import { settingsOf } from './settings.ts'

/** A quantized network with all that it was made from, before anything is said of its quality. */
export interface Produced extends Candidate {
  readonly model: Model
  /** The float network as rewrites left it: what the quantized one is compared with. */
  readonly reference: Model
  /** The same with the weights that algorithms rounded: what exporters start from. */
  readonly float: Model
  readonly choice: Choice
  readonly algorithms: readonly AlgorithmRecord[]
  readonly recipe: Recipe
  readonly data: Dataset
  /** Calibration samples asked for. */
  readonly samples: number
  readonly batchSize: number
  readonly execution: Execution
  /** Ranges are those that BatchNormalization remembers; nothing can be measured. */
  readonly dataFree?: true
}

/** A float network that is ready to be quantized in many ways: rewritten, and measured on its data. */
export type Calibrated = Awaited<ReturnType<typeof calibrated>>

/**
 * Prepares, rewrites and calibrates.
 * @param schemes that the network must be able to say beside the settings' own.
 */
export async function calibrated(model: Model, options: QuantizeOptions, run: Run, schemes: readonly string[] = []) {
  const settings = settingsOf(options, run)
  const target = targetOf(settings, run)
  const execution = executionFor(target)
  const { recipe: replayed } = options
  if (replayed) checkOrigin(replayed, model, run)
  const algorithms = algorithmsFor(settings, true, run)
  const prepared = await prepareAndPlan(model, settings, run, { schemes })
  const looked = await openData(model, prepared.float, options, settings, run)
  const { dataset, data, batchSize } = looked
  const around = { settings, target, norms: normStatistics(model), data: dataset, batchSize, run }
  const rewritten = await rewriteFloat(prepared.float, algorithms, looked.outputsOf(prepared.float), around)
  const { float, plan: first } =
    rewritten.model === prepared.float ? prepared : replanned(rewritten.model, settings, run)
  const macs = await macsOnData(float, data, run)
  const stats = await run.stage('calibrate', (progress) =>
    calibrate({ float, first, target, data, batchSize, settings, run, progress }),
  )
  const plan = (o: PlannerOptions) => makePlan(float, settings, run, o)
  return { settings, target, execution, algorithms, looked, around, rewritten, float, first, macs, stats, plan }
}

/** Quantizes without measuring the result: what `quantize` reports on, and what is tried several times to find a good one. */
export async function produce(model: Model, options: QuantizeOptions, run: Run): Promise<Produced> {
  const { recipe: replayed } = options
  if (options.calibration.dataFree) return produceWithoutData(model, options, run)
  const asked = settingsOf(options, run)
  const checkpoint = await PartsCheckpoint.open(model, asked, algorithmsFor(asked, true, run), options, run)
  const ready = await calibrated(model, options, run)
  const { settings, target, execution, algorithms, looked, around, rewritten, float, first, macs, stats, plan } = ready
  const { data, batchSize } = looked
  const dataDigest = data.digest()
  checkpoint?.setData(dataDigest)
  if (replayed) checkData(replayed, dataDigest, options.allowOtherData ?? false, run)
  const cx = { float, first, stats, data, macs, batchSize, settings, execution, run, plan }
  const found = await run.stage('search', (progress) =>
    replayed
      ? candidateOf(recordedChoice(replayed, target), cx)
      : searchPlan({ ...cx, progress, mayKeepFloat: target.fallback !== 'none' }),
  )
  warnOfThinStats(found.plan, statsFor(first, stats), run.registries.observers, run.diagnostics)
  const adjusted = await adjustQuantized(float, found, algorithms, looked.outputsOf(float), {
    ...around,
    ...{ norms: rewritten.norms, execution, checkpoint },
  })
  const { choice } = found
  const same = replayed?.dataDigest === dataDigest ? replayed : { data: data.toJSON(), inputs: looked.inputs }
  const facts = { model, settings, choice, batchSize, data: same.data, inputs: same.inputs, dataDigest, stats }
  return {
    ...(await finish(adjusted, facts, execution, run)),
    ...{ reference: float, float: adjusted.model, plan: adjusted.plan, params: adjusted.params },
    ...{ choice, data, batchSize, execution, samples: settings.samples },
    algorithms: [...rewritten.records, ...adjusted.records],
  }
}

/** The data of a run, looked at beside the normalization that folding takes away, and how many samples run together. */
export async function openData(
  original: Model,
  float: Model,
  options: QuantizeOptions,
  settings: QuantizeSettings,
  run: Run,
) {
  const dataset = await datasetFor(calibrationData(options.calibration), float)
  const data = digested(dataset)
  const inputs = await run.stage('check data', () => lookAt(original, data, run))
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
export function calibrate({ float, first, target, data, batchSize, settings, run, progress }: Calibration) {
  const { samples } = settings
  const total = Math.min(samples, data.length ?? samples)
  const onProgress = ({ samples: done }: { samples: number }) => progress(done, total)
  const tensors = [...first.tensors, ...latentTensors(float, first, target)]
  const asked = requestsForPlan({ ...first, tensors }, run.registries.observers)
  // A search may try any observer on any tensor, whatever an override says of the node that makes it.
  const requests = settings.observer === 'auto' ? asked.map(withHistogram) : asked
  const options = { samples, batchSize, onProgress, ...elementsFor(settings, run), ...run.signal }
  return collectStats(float, run.engine, data, requests, options)
}

const withHistogram = (request: StatRequest): StatRequest => ({
  ...request,
  wants: [...new Set([...request.wants, 'histogram' as const])],
})

/** Histograms are sampled, unless the one observer that is asked for needs every element. */
const elementsFor = ({ observer }: QuantizeSettings, { registries }: Run): { elements?: number } =>
  registries.observers[observer]?.exhaustive ? { elements: Number.POSITIVE_INFINITY } : {}
