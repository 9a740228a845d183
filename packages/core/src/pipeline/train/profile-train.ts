import type { Model } from '../../ir/index.ts'
import type { Diagnostic } from '../../util/index.ts'
import { Run } from '../run.ts'
import { profiledSamples, profileSubject, type StepProfile, type StepTrace } from './profile-subject.ts'
import { readRunData } from './run-data.ts'
import { settingsFor } from './settings.ts'
import { subjectStep } from './subject-step.ts'
import { floatTask } from './train.ts'
import type { TrainOptions } from './train-options.ts'
import { CALIBRATION_SAMPLES, preparedSubject, type TrainQatOptions } from './train-qat.ts'

/** What is measured with. Evaluation, checkpoints and the length of the run have no part in it. */
export interface Traced {
  readonly profile: StepTrace
}

export interface TrainProfile {
  readonly profile: StepProfile
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Measures the step that `train` would make with these options, and trains nothing. Data that are not fitted to a network yet are read as far
 * as they are needed.
 * @throws FewbitError as `train`, and what `profile` throws.
 */
export async function profileTrain(model: Model, options: TrainOptions & Traced): Promise<TrainProfile> {
  const run = new Run(options)
  const { evaluation: _, ...course } = options
  const { subject, data } = await floatTask(model, course, run, profiledSamples(model, options))
  const settings = settingsFor('tune', { model, trainable: subject.trainable }, data.data, options, run.diagnostics)
  const step = await run.stage('write step', () => subjectStep(subject, data.data, settings, options, run))
  const profile = await profileSubject(step, data, settings, options.profile, run)
  return { profile, diagnostics: run.diagnostics.list }
}

/**
 * The same for the step that `trainQat` would make.
 * @throws FewbitError as `trainQat`, and what `profile` throws.
 */
export async function profileTrainQat(model: Model, options: TrainQatOptions & Traced): Promise<TrainProfile> {
  const run = new Run(options)
  const { evaluation: _, ...course } = options
  const { samples: calibrated = CALIBRATION_SAMPLES } = options.quantization?.calibration ?? {}
  const data = await readRunData(model, course, run, Math.max(profiledSamples(model, options), calibrated))
  const { subject, settings, diagnostics } = await preparedSubject(model, data, options, run)
  const step = await run.stage('write step', () => subjectStep(subject, data.data, settings, options, run))
  const profile = await profileSubject(step, data, settings, options.profile, run)
  return { profile, diagnostics: [...diagnostics, ...run.diagnostics.list] }
}
