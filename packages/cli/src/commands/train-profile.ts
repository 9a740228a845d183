import type { Model } from '@fewbit/core/ir'
import { profileTrain, profileTrainQat, type QatQuantization } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { profileStep } from '@fewbit/engine-node'
import type { CommandContext, CommandResult } from '../command.ts'
import { renderProfile } from '../render/profile.ts'
import type { GivenTrainFlags, TrainFlags } from './train-flags.ts'
import { floatBatchNorm, qatCourse, stepOptions } from './train-options.ts'

/** Flags that mean something only where a network comes out. */
const ABOUT_OUTPUT = {
  resume: 'resume',
  checkpoint: 'checkpoint',
  checkpointSteps: 'checkpoint-steps',
  keepCheckpoint: 'keep-checkpoint',
}

/** @throws FewbitError TRAIN_OUTPUT where nothing is to be written, and more is asked than what a step takes. */
export function refuseWithoutOutput(flags: GivenTrainFlags): void {
  if (!flags.profile) {
    throw problem('TRAIN_OUTPUT', 'nothing says where the trained network goes', {
      at: { option: 'output' },
      fix: 'name a file with -o, or only look where the time of a step goes with --profile',
    })
  }
  const unused = Object.entries(ABOUT_OUTPUT).find(([name]) => name in flags)?.[1]
  if (unused === undefined) return
  throw problem('TRAIN_OUTPUT', `--${unused} is about a run, and --profile without an output trains nothing`, {
    at: { option: unused },
    fix: 'leave it out, or name an output with -o to train and look where the time of a step goes',
  })
}

interface Kind {
  readonly quantization: QatQuantization | undefined
  readonly isQuantized: boolean
}

/** Measures the step that would be made. */
export async function profiled(
  cx: CommandContext,
  model: Model,
  flags: TrainFlags,
  { quantization, isQuantized }: Kind,
): Promise<CommandResult> {
  const options = { ...(await stepOptions(cx, flags)), profile: profileStep }
  const { profile, diagnostics } = isQuantized
    ? await profileTrainQat(model, { ...options, ...qatCourse(flags), ...(quantization && { quantization }) })
    : await profileTrain(model, { ...options, ...floatBatchNorm(flags) })
  return { json: { profile, diagnostics }, text: renderProfile(profile, diagnostics) }
}
