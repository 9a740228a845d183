import type { StepProfile } from './profile-subject.ts'
import type { EpochRecord } from './train-options.ts'
import type { TrainRecipe } from './train-recipe.ts'

/** What training did, whatever was trained. */
export interface TrainReport {
  readonly history: readonly EpochRecord[]
  /** Scores on evaluation data before training. */
  readonly before?: Readonly<Record<string, number>>
  /** Scores of the network that is given back. */
  readonly after?: Readonly<Record<string, number>>
  /** The epoch that is given back, from 1, where early stopping chose it. */
  readonly bestEpoch?: number
  readonly steps: number
  /** In training steps, reading data and evaluation left out; of this process, where a run went on. */
  readonly samplesPerSecond: number
  /** Where the time of a step goes, where that was asked for. */
  readonly profile?: StepProfile
  readonly recipe: TrainRecipe
}
