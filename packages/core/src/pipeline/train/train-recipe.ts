import type { Model } from '../../ir/index.ts'
import type { Recipe } from '../recipe.ts'

/** Everything that a training run depended on. JSON; stored in the model's metadata under `fewbit.training`. Digests are SHA-256. */
export interface TrainRecipe {
  readonly format: 'fewbit-training'
  readonly version: 1
  /** Network, loss, optimizer, rate, data and seed: all that must be the same for the same result. */
  readonly settings: Readonly<Record<string, unknown>>
  /** That were made. */
  readonly steps: number
  /** The epoch whose state was kept, from 1, where early stopping chose it. */
  readonly bestEpoch?: number
  readonly versions: Recipe['versions']
}

export const TRAINING_KEY = 'fewbit.training'

/** Writes the recipe into the model's metadata. */
export function stampTraining(model: Model, recipe: TrainRecipe): void {
  model.metadata.set(TRAINING_KEY, JSON.stringify(recipe))
  model.producerName = 'fewbit'
  model.producerVersion = recipe.versions.fewbit
}
