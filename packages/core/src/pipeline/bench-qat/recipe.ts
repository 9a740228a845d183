import type { Model } from '../../ir/index.ts'
import type { BatchNormName } from '../../qat/index.ts'
import { cosine, distillation, sgd } from '../../training/index.ts'
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
  /** Of the distillation from the float network (arXiv:1503.02531): labels would first teach another confidence than it has. */
  readonly temperature: number
  readonly clipNorm: number
  /** Of first and last layer, whatever the target does. */
  readonly edgeBits: number
  readonly batchNorm: BatchNormName
  readonly calibrationSamples: number
  readonly seed: number
}

export const QAT_BENCH_RECIPE: QatBenchRecipe = {
  ...{
    steps: 300,
    batchSize: 64,
    lr: 0.004,
    clipNorm: 1,
    warmup: 0.1,
    momentum: 0.9,
    weightDecay: 1e-4,
    temperature: 4,
  },
  ...{ edgeBits: 8, batchNorm: 'fold-torch', calibrationSamples: 128, seed: 1 },
}

/** The recipe in the terms of `trainQat`. @param teacher the float network. */
export function trainingOf(
  recipe: QatBenchRecipe,
  teacher: Model,
): Omit<TrainQatOptions, 'engine' | 'data' | 'quantization'> {
  const { steps, batchSize, lr, clipNorm, warmup, momentum, weightDecay, temperature, seed } = recipe
  return {
    ...{ epochs: steps, maxSteps: steps, batchSize, lr, clipNorm, seed },
    teacher,
    loss: distillation({ temperature }),
    optimizer: sgd({ momentum, nesterov: true, weightDecay }),
    schedule: cosine({ warmup }),
  }
}
