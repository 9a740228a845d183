import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { isQFloat, type QFloat } from '../../qat/index.ts'
import { bareLayers, trainable, withState } from '../../training/index.ts'
import { type Diagnostic, problem } from '../../util/index.ts'
import type { UncalibratedQFloat } from '../qat/prepare-qat.ts'
import { Run } from '../run.ts'
import { restoreNorms } from './restore-norms.ts'
import { type RunData, readRunData } from './run-data.ts'
import { settingsFor } from './settings.ts'
import type { Subject } from './subject.ts'
import type { TrainOptions } from './train-options.ts'
import { type TrainedQFloat, type TrainQatOptions, trainQFloat } from './train-qat.ts'
import { stampTraining } from './train-recipe.ts'
import type { TrainReport } from './train-report.ts'
import { lookAtData, trainSubject } from './train-subject.ts'

/** How a network is quantized is decided. */
export type TrainQFloatOptions = Omit<TrainQatOptions, 'quantization'>

export interface TrainResult {
  /** The float network with trained weights, in the form in which it was given; with normalizations that were put back. */
  readonly model: Model
  readonly report: TrainReport
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Trains a float network, from wherever its weights stand. The given model is not changed.
 * @throws FewbitError TRAIN_* where network, data and options do not fit, or the loss is no number any more; DATA_*; the signal's reason
 * when aborted, after a checkpoint was kept.
 */
export function train(model: Model, options: TrainOptions): Promise<TrainResult>
/** Trains a network with fake-quantizers, from `prepareQat` or a file that `readQFloat` has read; `convertQat` takes the result. */
export function train(qfloat: QFloat | UncalibratedQFloat, options: TrainQFloatOptions): Promise<TrainedQFloat>
export function train(
  network: Model | QFloat | UncalibratedQFloat,
  options: TrainOptions | TrainQFloatOptions,
): Promise<TrainResult | TrainedQFloat> {
  if ('quantization' in network) return trainQFloat(network.float, { ...options, quantization: network.quantization })
  return 'record' in network ? trainQFloat(network.model, options) : trainFloat(network, options)
}

async function trainFloat(model: Model, options: TrainOptions): Promise<TrainResult> {
  if (isQFloat(model)) throw notFloat()
  const run = new Run(options)
  const { subject, data } = await floatTask(model, options, run)
  const settings = settingsFor('tune', { model, trainable: subject.trainable }, data.data, options, run.diagnostics)
  await lookAtData(model, data.data, options, run)
  const { state, report } = await trainSubject(subject, data, settings, options, run)
  const trained = subject.modelWith(state)
  stampTraining(trained, report.recipe)
  return { model: trained, report, diagnostics: run.diagnostics.list }
}

const notFloat = (): Error =>
  problem('QAT_PREPARED', 'the network has fake-quantizers, and float training knows nothing of them', {
    fix: 'train(readQFloat(model), …), or trainQat(model, …), which also converts it',
  })

/** Samples whose moments normalizations get that are put back. */
const NORM_SAMPLES = 512

/**
 * What is trained, and on what.
 * @param samples to read, where data are not fitted to a network yet.
 */
export async function floatTask(
  model: Model,
  options: TrainOptions,
  run: Run,
  samples?: number,
): Promise<{ readonly subject: Subject; readonly data: RunData }> {
  // Before data are read, which takes a while, because it says what cannot be trained.
  const subject = floatSubject(model, model, options, run)
  const data = await readRunData(model, options, run, samples)
  const bare = bareLayers(model).length
  if (options.batchNorm !== 'restore') {
    if (bare > 0 && subject.trainable.updates.size === 0) run.diagnostics.info('TRAIN_NORMS', ...withoutNorms(bare))
    return { subject, data }
  }
  const restored = await restoreNorms(model, { ...run.shared, data: data.data.asDataset(NORM_SAMPLES) })
  run.diagnostics.info('TRAIN_NORMS', `${restored.layers.length} convolutions have a BatchNormalization again`)
  return { subject: floatSubject(restored.model, model, options, run), data }
}

const withoutNorms = (layers: number) =>
  [
    `${layers} convolutions have no BatchNormalization behind them, and train slowly at rates that do not diverge`,
    { fix: 'put it back with --batch-norm restore, unless the network was made without' },
  ] as const

/** @param given the network that the run was asked to train; a checkpoint belongs to it. */
function floatSubject(model: Model, given: Model, { batchNorm = 'batch' }: TrainOptions, { ops }: Run): Subject {
  return {
    trainable: trainable(model, ops, { batchNorm: batchNorm === 'fixed' ? 'fixed' : 'batch' }),
    modelWith: (state) => withState(model, state, ops),
    facts: { model: structuralHash(given), batchNorm },
  }
}
