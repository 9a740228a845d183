import type { LoadOptions } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import {
  isQFloat,
  type OscillationOptions,
  oscillation,
  oscillationSites,
  parseOscillation,
  type QFloat,
  qatTrainable,
  type Reestimated,
  readQFloat,
  reestimate,
  withTrained,
} from '../../qat/index.ts'
import type { TrainingData } from '../../training-data/index.ts'
import { type Diagnostic, problem } from '../../util/index.ts'
import { score } from '../evaluate.ts'
import { type ConvertQatResult, convertQat } from '../qat/convert-qat.ts'
import { prepareQat } from '../qat/prepare-qat.ts'
import type { QatQuantization } from '../qat/qat-options.ts'
import { Run } from '../run.ts'
import { type OscillationReport, oscillationReport } from './oscillation-report.ts'
import { type RunData, readRunData } from './run-data.ts'
import { scoringOptions } from './scoring-options.ts'
import { settingsFor, type TrainSettings } from './settings.ts'
import type { Subject } from './subject.ts'
import type { TrainOptions } from './train-options.ts'
import { stampTraining } from './train-recipe.ts'
import type { TrainReport } from './train-report.ts'
import { trainSubject } from './train-subject.ts'

export interface TrainQatOptions extends Omit<TrainOptions, 'batchNorm' | 'fromScratch'> {
  /** Nothing of it may be said of a network that has fake-quantizers already. Its seed is that of the training unless another one is given. */
  readonly quantization?: QatQuantization
  /** What is done about weights that turn from code to code: `track`, `freeze:threshold=0.01`, `dampen:weight=0.1`; their share is reported. */
  readonly oscillation?: string | OscillationOptions
  /** Takes BatchNormalization's statistics anew over so many batches of the training data when all is trained. Default 0: not at all. */
  readonly reestimateBatches?: number
}

/** Scores on evaluation data, by metric. */
type Scores = Readonly<Record<string, number>>

export interface QFloatReport extends TrainReport {
  readonly oscillation?: OscillationReport
  /** How many vectors of BatchNormalization's statistics were taken anew. */
  readonly reestimated?: number
}

/** A trained network with fake-quantizers: what `convertQat` takes, and from which training may go on. */
export interface TrainedQFloat extends QFloat {
  readonly report: QFloatReport
  readonly diagnostics: readonly Diagnostic[]
}

export interface TrainQatResult extends ConvertQatResult {
  /** The float network with trained weights and fake-quantizers, from which training may go on. */
  readonly qfloat: QFloat
  readonly report: QFloatReport & {
    /** Of the float network that was prepared. */
    readonly float?: Scores
    /** Of the quantized network, run as its backend runs it. */
    readonly quantized?: Scores
  }
}

/** How networks with fake-quantizers run: as they are written. */
const SIMULATE: LoadOptions = { optimization: 'simulate' }
export const CALIBRATION_SAMPLES = 128
/** Enough for shares of steps, and quick. */
const COMPARED_SAMPLES = 128

/**
 * Trains a network with fake-quantizers, and converts it. A float network is prepared first, on samples of the training data; a network
 * with fake-quantizers goes on from where it stands. The given model is not changed.
 * @throws FewbitError what `train`, `prepareQat` and `convertQat` throw.
 */
export async function trainQat(model: Model, options: TrainQatOptions): Promise<TrainQatResult> {
  const run = new Run(options)
  const data = await readRunData(model, options, run)
  const float = isQFloat(model) ? undefined : await scoresOf(model, data.evaluation, options, run)
  const result = await trainQatOn(model, data, options, run)
  return { ...result, report: { ...result.report, ...(float && { float }) } }
}

/** Trains a network with fake-quantizers from where it stands, and leaves converting to `convertQat`. A float one is prepared first, as in `trainQat`. */
export async function trainQFloat(model: Model, options: TrainQatOptions): Promise<TrainedQFloat> {
  const run = new Run(options)
  const data = await readRunData(model, options, run)
  const prepared = await preparedSubject(model, data, options, run)
  const { qfloat, report } = await trained(prepared, data, options, run)
  return { ...qfloat, report, diagnostics: run.diagnostics.list }
}

/** `trainQat` on data that are read already, without scores of the float network. */
export async function trainQatOn(
  model: Model,
  data: RunData,
  options: TrainQatOptions,
  run: Run,
): Promise<TrainQatResult> {
  const prepared = await preparedSubject(model, data, options, run)
  const { qfloat, report } = await trained(prepared, data, options, run)
  const compared = (data.evaluation ?? data.data).asDataset(COMPARED_SAMPLES)
  const converted = await convertQat(qfloat, { ...run.shared, data: compared, samples: COMPARED_SAMPLES })
  stampTraining(converted.model, report.recipe)
  const quantized = await scoresOf(converted.model, data.evaluation, options, run)
  return {
    ...converted,
    qfloat,
    report: { ...report, ...(quantized && { quantized }) },
    diagnostics: [...prepared.diagnostics, ...run.diagnostics.list, ...converted.diagnostics],
  }
}

async function trained(
  { qfloat, subject, settings }: PreparedSubject,
  data: RunData,
  options: TrainQatOptions,
  run: Run,
): Promise<{ readonly qfloat: QFloat; readonly report: QFloatReport }> {
  const watched = oscillationOf(options)
  const { state, inner, report } = await trainSubject(subject, data, settings, options, run)
  const found = await reestimated(withTrained(qfloat, state), data, { settings, options, run })
  stampTraining(found.qfloat.model, report.recipe)
  return {
    qfloat: found.qfloat,
    report: {
      ...report,
      ...(watched && { oscillation: oscillationReport(watched.mode, subject.watched, inner) }),
      ...(found.changed > 0 && { reestimated: found.changed, ...(found.after && { after: found.after }) }),
    },
  }
}

interface PreparedSubject {
  readonly qfloat: QFloat
  readonly subject: WatchedSubject
  readonly settings: TrainSettings
  readonly diagnostics: readonly Diagnostic[]
}

/** What is trained, and how, before the first step. */
export async function preparedSubject(
  model: Model,
  data: RunData,
  options: TrainQatOptions,
  run: Run,
): Promise<PreparedSubject> {
  const { qfloat, diagnostics } = await prepared(model, data, options, run)
  const subject = subjectOf(model, qfloat, options, run)
  const { trainable } = subject
  const settings = settingsFor('quantized', { model, trainable }, data.data, options, run.diagnostics)
  return { qfloat, subject, settings, diagnostics }
}

async function prepared(
  model: Model,
  { data }: RunData,
  { quantization, seed = 1 }: TrainQatOptions,
  run: Run,
): Promise<{ readonly qfloat: QFloat; readonly diagnostics: readonly Diagnostic[] }> {
  if (isQFloat(model)) {
    if (quantization) throw alreadyPrepared()
    return { qfloat: readQFloat(model), diagnostics: [] }
  }
  const { calibration = {}, ...how } = quantization ?? {}
  const { samples = CALIBRATION_SAMPLES } = calibration
  const source = { ...calibration, samples, data: data.asDataset(samples) }
  const { diagnostics, ...qfloat } = await prepareQat(model, { ...run.shared, seed, ...how, calibration: source })
  return { qfloat, diagnostics }
}

const alreadyPrepared = (): Error =>
  problem('QAT_PREPARED', 'the network has fake-quantizers already, and how they quantize is decided', {
    fix: 'leave target, scheme and fake-quantizer out to train on; start from the float network for others',
  })

/** @throws FewbitError OSCILLATION_UNKNOWN, OSCILLATION_OPTION */
const oscillationOf = ({ oscillation: asked }: TrainQatOptions): OscillationOptions | undefined =>
  typeof asked === 'string' ? parseOscillation(asked) : asked

interface ReestimatedResult extends Reestimated {
  /** Scores with the new statistics. */
  readonly after?: Scores
}

async function reestimated(
  qfloat: QFloat,
  { data, evaluation }: RunData,
  { settings, options, run }: { settings: TrainSettings; options: TrainQatOptions; run: Run },
): Promise<ReestimatedResult> {
  const { reestimateBatches = 0 } = options
  if (reestimateBatches === 0) return { qfloat, changed: 0 }
  const { batchSize, epochs } = settings
  // An order that no epoch of the training had.
  const batches = () => take(data.batches({ batchSize, epoch: epochs }), reestimateBatches)
  const { engine, ops, signal } = run
  const found = await run.stage('re-estimate', () => reestimate(qfloat, { engine, ops, batches: batches(), ...signal }))
  const after = await scoresOf(found.qfloat.model, evaluation, options, run, SIMULATE)
  return { ...found, ...(after && { after }) }
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let taken = 0
  for (const item of items) {
    if (taken++ >= count) return
    yield item
  }
}

interface WatchedSubject extends Subject {
  /** Weights whose oscillation is followed. */
  readonly watched: readonly string[]
}

function subjectOf(model: Model, qfloat: QFloat, options: TrainQatOptions, { ops }: Run): WatchedSubject {
  const { target, scheme, batchNorm, quantizers } = qfloat.record
  const names = [...new Set(quantizers.map(({ role, quantizer }) => `${role}: ${JSON.stringify(quantizer)}`))]
  const { reestimateBatches = 0 } = options
  const oscillating = oscillationOf(options)
  const trainable = qatTrainable(qfloat, ops)
  const places = oscillating ? oscillationSites(qfloat.record, trainable) : []
  return {
    trainable,
    watched: places.map(({ weight }) => weight),
    ...(oscillating && { constraints: [oscillation(places, oscillating)] }),
    modelWith: (state) => withTrained(qfloat, state).model,
    load: SIMULATE,
    facts: {
      ...{ model: structuralHash(model), prepared: structuralHash(qfloat.model) },
      ...{ target, scheme, batchNorm, fakeQuantizers: names },
      ...(reestimateBatches > 0 && { reestimateBatches }),
    },
  }
}

async function scoresOf(
  model: Model,
  data: TrainingData | undefined,
  options: TrainQatOptions,
  run: Run,
  load?: LoadOptions,
) {
  if (!data) return undefined
  const how = { ...scoringOptions(data, options), ...(load && { load }) }
  const scored = await score(model, { ...run.shared, data: data.asDataset(), ...how }, run)
  return scored.metrics
}
