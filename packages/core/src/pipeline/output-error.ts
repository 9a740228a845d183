import { sqnrDb } from '../analysis/index.ts'
import {
  type Batch,
  batches,
  type Dataset,
  dropPadding,
  type Feeds,
  type LoadOptions,
  modelInputs,
} from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import type { Run } from './run.ts'

/** Some batches with what the float network makes of them, held in memory for a search. */
export type ReferenceOutputs = readonly { readonly batch: Batch; readonly outputs: Feeds }[]

/** Samples that a candidate is judged by: enough to rank candidates, fewer for networks that take long. */
const MAX_SAMPLES = 16
const MIN_SAMPLES = 4
/** Multiply-accumulates that one trial may cost. */
const TRIAL_MACS = 8e9

function sampleCount(macs: ReadonlyMap<string, number>): number {
  const total = [...macs.values()].reduce((a, b) => a + b, 0)
  return Math.min(MAX_SAMPLES, Math.max(MIN_SAMPLES, Math.floor(TRIAL_MACS / Math.max(1, total))))
}

export async function referenceOutputs(cx: {
  float: Model
  data: Dataset
  run: Run
  batchSize: number
  macs: ReadonlyMap<string, number>
}): Promise<ReferenceOutputs> {
  const { float, data, run, batchSize, macs } = cx
  const session = await run.engine.load(float)
  try {
    const kept: { batch: Batch; outputs: Feeds }[] = []
    const options = { batchSize, limit: sampleCount(macs), ...run.signal }
    for await (const batch of batches(data, modelInputs(float), options)) {
      kept.push({ batch, outputs: dropPadding(await session.run(batch.feeds), batch) })
    }
    return kept
  } finally {
    await session.release()
  }
}

/**
 * SQNR in dB of a candidate's outputs, the signal taken about its mean: an offset that every candidate reproduces, such as
 * the brightness of pictures, is no evidence of fidelity.
 */
export async function outputError(
  model: Model,
  reference: ReferenceOutputs,
  load: LoadOptions,
  run: Run,
): Promise<number> {
  const session = await run.engine.load(model, load)
  const sums = { count: 0, sum: 0, squares: 0, noise: 0 }
  try {
    for (const { batch, outputs } of reference) {
      run.options.signal?.throwIfAborted()
      const candidate = dropPadding(await session.run(batch.feeds), batch)
      for (const [name, tensor] of Object.entries(outputs)) {
        const other = candidate[name]
        if (other && tensor.dtype !== 'string') addTo(sums, tensor.numbers(), other.numbers())
      }
    }
  } finally {
    await session.release()
  }
  return sqnrDb(sums.squares - sums.sum ** 2 / Math.max(1, sums.count), sums.noise)
}

function addTo(
  sums: { count: number; sum: number; squares: number; noise: number },
  reference: ArrayLike<number>,
  candidate: ArrayLike<number>,
): void {
  for (let i = 0; i < reference.length; i++) {
    const r = reference[i] as number
    const d = (candidate[i] as number) - r
    sums.sum += r
    sums.squares += r * r
    sums.noise += d * d
  }
  sums.count += reference.length
}

/**
 * Greatest change of any output element, as a share of that output's largest magnitude in the same run: 0 where nothing changed, NaN where
 * the model makes NaN.
 */
export async function outputDeviation(model: Model, reference: ReferenceOutputs, run: Run): Promise<number> {
  const session = await run.engine.load(model)
  let worst = 0
  try {
    for (const { batch, outputs } of reference) {
      run.options.signal?.throwIfAborted()
      const candidate = dropPadding(await session.run(batch.feeds), batch)
      for (const [name, tensor] of Object.entries(outputs)) {
        const other = candidate[name]
        if (other && tensor.dtype !== 'string') worst = Math.max(worst, deviation(tensor.numbers(), other.numbers()))
      }
    }
  } finally {
    await session.release()
  }
  return worst
}

function deviation(reference: ArrayLike<number>, candidate: ArrayLike<number>): number {
  let largest = 0
  let change = 0
  for (let i = 0; i < reference.length; i++) {
    largest = Math.max(largest, Math.abs(reference[i] as number))
    change = Math.max(change, Math.abs((candidate[i] as number) - (reference[i] as number)))
  }
  return change === 0 ? 0 : change / largest
}
