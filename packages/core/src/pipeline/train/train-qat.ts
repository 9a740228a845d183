import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { isQFloat, type QFloat, qatTrainable, readQFloat, withTrained } from '../../qat/index.ts'
import type { TrainingData } from '../../training-data/index.ts'
import { type Diagnostic, problem } from '../../util/index.ts'
import { score } from '../evaluate.ts'
import { type ConvertQatResult, convertQat } from '../qat/convert-qat.ts'
import { prepareQat } from '../qat/prepare-qat.ts'
import type { PrepareQatOptions } from '../qat/qat-options.ts'
import { Run, type RunOptions } from '../run.ts'
import { settingsFor } from './settings.ts'
import type { Subject } from './subject.ts'
import type { TrainOptions } from './train-options.ts'
import { stampTraining } from './train-recipe.ts'
import type { TrainReport } from './train-report.ts'
import { type RunData, readRunData, trainSubject } from './train-subject.ts'

/** How a network is quantized while it trains: what `prepareQat` takes, but data and seed, which are those of the training. */
export type TrainQuantization = Omit<PrepareQatOptions, keyof RunOptions | 'calibration' | 'seed'> & {
  readonly calibration?: Omit<PrepareQatOptions['calibration'], 'data'>
}

export interface TrainQatOptions extends Omit<TrainOptions, 'batchNorm' | 'fromScratch'> {
  /** Nothing of it may be said of a network that has fake-quantizers already. */
  readonly quantization?: TrainQuantization
}

/** Scores on evaluation data, by metric. */
type Scores = Readonly<Record<string, number>>

export interface TrainQatResult extends ConvertQatResult {
  /** The float network with trained weights and fake-quantizers, from which training may go on. */
  readonly qfloat: QFloat
  readonly report: TrainReport & {
    /** Of the float network that was prepared. */
    readonly float?: Scores
    /** Of the quantized network, run as its backend runs it. */
    readonly quantized?: Scores
  }
}

const CALIBRATION_SAMPLES = 128
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

/** The same on data that are read already, without scores of the float network. */
export async function trainQatOn(
  model: Model,
  data: RunData,
  options: TrainQatOptions,
  run: Run,
): Promise<TrainQatResult> {
  const { qfloat, diagnostics } = await prepared(model, data, options, run)
  const subject = subjectOf(model, qfloat, run)
  const { trainable } = subject
  const settings = settingsFor('quantized', { model, trainable }, data.data, options, run.diagnostics)
  const { state, report } = await trainSubject(subject, data, settings, options, run)
  const trained = withTrained(qfloat, state)
  stampTraining(trained.model, report.recipe)
  const compared = (data.evaluation ?? data.data).asDataset(COMPARED_SAMPLES)
  const converted = await convertQat(trained, { ...run.shared, data: compared, samples: COMPARED_SAMPLES })
  stampTraining(converted.model, report.recipe)
  const quantized = await scoresOf(converted.model, data.evaluation, options, run)
  return {
    ...converted,
    qfloat: trained,
    report: { ...report, ...(quantized && { quantized }) },
    diagnostics: [...diagnostics, ...run.diagnostics.list, ...converted.diagnostics],
  }
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
  const { diagnostics, ...qfloat } = await prepareQat(model, { ...run.shared, ...how, seed, calibration: source })
  return { qfloat, diagnostics }
}

const alreadyPrepared = (): Error =>
  problem('QAT_PREPARED', 'the network has fake-quantizers already, and how they quantize is decided', {
    fix: 'leave target, scheme and fake-quantizer out to train on; start from the float network for others',
  })

function subjectOf(model: Model, qfloat: QFloat, { ops }: Run): Subject {
  const { target, scheme, batchNorm, quantizers } = qfloat.record
  const names = [...new Set(quantizers.map(({ role, quantizer }) => `${role}: ${JSON.stringify(quantizer)}`))]
  return {
    trainable: qatTrainable(qfloat, ops),
    modelWith: (state) => withTrained(qfloat, state).model,
    load: { optimization: 'simulate' },
    facts: {
      ...{ model: structuralHash(model), prepared: structuralHash(qfloat.model) },
      ...{ target, scheme, batchNorm, fakeQuantizers: names },
    },
  }
}

async function scoresOf(model: Model, data: TrainingData | undefined, { evaluation }: TrainQatOptions, run: Run) {
  if (!data) return undefined
  const { metrics } = evaluation ?? {}
  const scored = await score(model, { ...run.shared, data: data.asDataset(), ...(metrics && { metrics }) }, run)
  return scored.metrics
}
