import { modelInputs } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import { loadTrainingData, type TrainingData } from '../../training-data/index.ts'
import type { Data } from '../data.ts'
import type { Run } from '../run.ts'
import type { TrainOptions } from './train-options.ts'

/** Data of a run, in memory. */
export interface RunData {
  readonly data: TrainingData
  readonly evaluation?: TrainingData
}

/**
 * Reads what a run trains and is scored on. Both may be read once for several runs.
 * @param samples to train on, where data are not fitted to a network yet.
 */
export async function readRunData(model: Model, options: TrainOptions, run: Run, samples?: number): Promise<RunData> {
  const { seed = 1, augment, maxBytes, evaluation } = options
  const limits = { ...(maxBytes !== undefined && { maxBytes }), ...run.signal }
  const read = (stage: string, data: Data, own: object, count?: number): Promise<TrainingData> =>
    run.stage(stage, async (progress) => {
      const dataset = 'samples' in data ? data : await data.open(modelInputs(model), count)
      return loadTrainingData(dataset, modelInputs(model), { ...limits, ...own, progress })
    })
  const data = await read('read data', options.data, { seed, ...(augment && { augment }) }, samples)
  const scored = evaluation && (await read('read evaluation data', evaluation.data, {}, evaluation.samples))
  return { data, ...(scored && { evaluation: scored }) }
}
