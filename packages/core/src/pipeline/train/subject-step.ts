import { type TrainingStep, trainingStep } from '../../training/index.ts'
import type { TrainingData } from '../../training-data/index.ts'
import type { Run } from '../run.ts'
import type { TrainSettings } from './settings.ts'
import type { Subject } from './subject.ts'
import type { TrainOptions } from './train-options.ts'

/** Writes the step that trains a subject on such data. */
export function subjectStep(
  { trainable, constraints }: Subject,
  data: TrainingData,
  { loss, optimizer, groups, batchSize }: TrainSettings,
  { clipNorm, ema, accumulate, teacher }: TrainOptions,
  { ops }: Run,
): TrainingStep {
  const { feeds } = data.batch(Uint32Array.of(0))
  const shapes = Object.entries(feeds).map(([name, { dims }]) => [name, [batchSize, ...dims.slice(1)]])
  return trainingStep({
    ...{ trainable, loss, optimizer, groups, ops, shapes: Object.fromEntries(shapes) },
    ...(clipNorm !== undefined && { clipNorm }),
    ...(ema && { ema }),
    ...(accumulate !== undefined && { accumulate }),
    ...(teacher && { teacher }),
    ...(constraints && { constraints }),
  })
}
