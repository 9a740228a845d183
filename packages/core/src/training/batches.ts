import type { TrainingData } from '../training-data/index.ts'
import { invariant } from '../util/index.ts'
import type { StepBatch } from './step.ts'

/** Batches of a run, epoch by epoch. The same epoch gives the same batches. */
export interface BatchSource {
  readonly batchesPerEpoch: number
  /** Samples in a batch. */
  readonly batchSize: number
  /** @param from number of the first batch. */
  batches(epoch: number, from: number): Iterable<StepBatch> | AsyncIterable<StepBatch>
  /** What identifies data and order. JSON. */
  toJSON(): unknown
}

/** Training data in batches of one size. */
export function batchSource(data: TrainingData, batchSize: number): BatchSource {
  return {
    batchesPerEpoch: data.batchesPerEpoch(batchSize),
    batchSize: data.batchSize(batchSize),
    batches: (epoch, from) => data.batches({ batchSize, epoch, from }),
    toJSON: () => ({ batchSize, data: data.digest(), ...data.toJSON() }),
  }
}

/** What steps take, from a step of the run on, without end: `parts` batches for each. */
export async function* stepBatches(source: BatchSource, parts: number, fromStep: number): AsyncGenerator<StepBatch[]> {
  invariant(source.batchesPerEpoch > 0, () => 'a source of no batches')
  const first = fromStep * parts
  let pending: StepBatch[] = []
  for (let epoch = Math.floor(first / source.batchesPerEpoch); ; epoch++) {
    const from = Math.max(0, first - epoch * source.batchesPerEpoch)
    for await (const batch of source.batches(epoch, from)) {
      pending.push(batch)
      if (pending.length < parts) continue
      yield pending
      pending = []
    }
  }
}
