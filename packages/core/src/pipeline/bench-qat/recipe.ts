import type { BatchNormName } from '../../qat/index.ts'
import { cosineDecay, crossEntropy, sgd } from '../../training/index.ts'
import type { TrainQatOptions } from '../train/index.ts'

/** How every cell of a benchmark is trained: the same for all. JSON. */
export interface QatBenchRecipe {
  readonly steps: number
  readonly batchSize: number
  readonly lr: number
  /** Share of the steps in which the rate grows. */
  readonly warmup: number
  readonly momentum: number
  readonly weightDecay: number
  readonly labelSmoothing: number
  /** Of first and last layer, whatever the target does. */
  readonly edgeBits: number
  readonly batchNorm: BatchNormName
  readonly calibrationSamples: number
  readonly seed: number
}

export const QAT_BENCH_RECIPE: QatBenchRecipe = {
  ...{ steps: 100, batchSize: 64, lr: 0.01, warmup: 0.1, momentum: 0.9, weightDecay: 1e-4, labelSmoothing: 0.1 },
  ...{ edgeBits: 8, batchNorm: 'fold-torch', calibrationSamples: 128, seed: 1 },
}

/** The recipe in the terms of `trainQat`. */
export function trainingOf(recipe: QatBenchRecipe): Omit<TrainQatOptions, 'engine' | 'data' | 'quantization'> {
  const { steps, batchSize, lr, warmup, momentum, weightDecay, labelSmoothing, seed } = recipe
  return {
    ...{ epochs: steps, maxSteps: steps, batchSize, lr, seed },
    loss: crossEntropy({ labelSmoothing }),
    optimizer: sgd({ momentum, nesterov: true, weightDecay }),
    schedule: cosineDecay({ warmup }),
  }
}
