import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { trainable, withState } from '../../training/index.ts'
import type { Diagnostic } from '../../util/index.ts'
import { Run } from '../run.ts'
import { readRunData } from './run-data.ts'
import { settingsFor } from './settings.ts'
import type { Subject } from './subject.ts'
import type { TrainOptions } from './train-options.ts'
import { stampTraining } from './train-recipe.ts'
import type { TrainReport } from './train-report.ts'
import { lookAtData, trainSubject } from './train-subject.ts'

export interface TrainResult {
  /** The float network with trained weights, in the form in which it was given. */
  readonly model: Model
  readonly report: TrainReport
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Trains a float network, from wherever its weights stand. The given model is not changed.
 * @throws FewbitError TRAIN_* where network, data and options do not fit, or the loss is no number any more; DATA_*; the signal's reason
 * when aborted, after a checkpoint was kept.
 */
export async function train(model: Model, options: TrainOptions): Promise<TrainResult> {
  const run = new Run(options)
  const subject = floatSubject(model, options, run)
  const data = await readRunData(model, options, run)
  const settings = settingsFor('tune', { model, trainable: subject.trainable }, data.data, options, run.diagnostics)
  await lookAtData(model, data.data, options, run)
  const { state, report } = await trainSubject(subject, data, settings, options, run)
  const trained = subject.modelWith(state)
  stampTraining(trained, report.recipe)
  return { model: trained, report, diagnostics: run.diagnostics.list }
}

export function floatSubject(model: Model, { batchNorm = 'batch' }: TrainOptions, { ops }: Run): Subject {
  return {
    trainable: trainable(model, ops, { batchNorm }),
    modelWith: (state) => withState(model, state, ops),
    facts: { model: structuralHash(model), batchNorm },
  }
}
