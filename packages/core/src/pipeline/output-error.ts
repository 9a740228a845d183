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
import type { Model, Tensor } from '../ir/index.ts'
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

/** How well a candidate keeps the outputs, in dB. */
export interface OutputErrors {
  /**
   * SQNR, the signal taken about its mean: an offset that every candidate reproduces, such as the brightness of pictures, is no evidence of fidelity.
   */
  readonly sqnr: number
  /** Mean of the samples' own SQNR: one sample with large values counts as one. */
  readonly typical: number
}

/** SQNR in dB of a candidate's outputs. */
export const outputError = async (...args: Parameters<typeof outputErrors>): Promise<number> =>
  (await outputErrors(...args)).sqnr

export async function outputErrors(
  model: Model,
  reference: ReferenceOutputs,
  load: LoadOptions,
  run: Run,
): Promise<OutputErrors> {
  const samples: Sums[] = []
  await besideReference(model, reference, load, run, (pairs, count) => {
    const sums = Array.from({ length: count }, () => ({ count: 0, sum: 0, squares: 0, noise: 0 }))
    for (const [expected, found] of pairs) {
      // What has no batch axis counts with the first sample.
      const rows = expected.dims[0] === count ? count : 1
      const [r, c] = [expected.numbers(), found.numbers()]
      for (let i = 0; i < rows; i++) addTo(sums[i] as Sums, r, c, (i * r.length) / rows, ((i + 1) * r.length) / rows)
    }
    samples.push(...sums)
  })
  return errorsOf(samples)
}

/**
 * Greatest change of any output element, as a share of that output's largest magnitude in the same run: 0 where nothing changed, NaN where
 * the model makes NaN.
 */
export async function outputDeviation(model: Model, reference: ReferenceOutputs, run: Run): Promise<number> {
  let worst = 0
  await besideReference(model, reference, {}, run, (pairs) => {
    for (const [expected, found] of pairs) worst = Math.max(worst, deviation(expected.numbers(), found.numbers()))
  })
  return worst
}

/** Runs a model on the batches of the reference and shows its outputs beside those that are expected. */
async function besideReference(
  model: Model,
  reference: ReferenceOutputs,
  load: LoadOptions,
  run: Run,
  visit: (pairs: readonly (readonly [expected: Tensor, found: Tensor])[], samples: number) => void,
): Promise<void> {
  const session = await run.engine.load(model, load)
  try {
    for (const { batch, outputs } of reference) {
      run.options.signal?.throwIfAborted()
      const candidate = dropPadding(await session.run(batch.feeds), batch)
      const pairs = Object.entries(outputs).flatMap(([name, expected]) => {
        const found = candidate[name]
        return found && expected.dtype !== 'string' ? [[expected, found] as const] : []
      })
      visit(pairs, batch.samples.length)
    }
  } finally {
    await session.release()
  }
}

interface Sums {
  count: number
  sum: number
  squares: number
  noise: number
}

/** Less noise than this share of the signal is none. */
const EXACT = 1e-9

function errorsOf(samples: readonly Sums[]): OutputErrors {
  const total = (of: (sums: Sums) => number) => samples.reduce((n, sums) => n + of(sums), 0)
  const mean =
    total(({ sum }) => sum) /
    Math.max(
      1,
      total(({ count }) => count),
    )
  const signal = ({ count, sum, squares }: Sums) => squares - 2 * mean * sum + mean * mean * count
  const own = samples.map((sums) => ({ signal: signal(sums), noise: sums.noise })).filter((s) => s.signal > 0)
  const levels = own.map((s) => sqnrDb(s.signal, s.noise + EXACT * s.signal))
  return {
    sqnr: sqnrDb(
      total(signal),
      total(({ noise }) => noise),
    ),
    typical: levels.reduce((a, b) => a + b, 0) / Math.max(1, levels.length),
  }
}

function addTo(
  sums: Sums,
  reference: ArrayLike<number>,
  candidate: ArrayLike<number>,
  start: number,
  end: number,
): void {
  for (let i = start; i < end; i++) {
    const r = reference[i] as number
    const d = (candidate[i] as number) - r
    sums.sum += r
    sums.squares += r * r
    sums.noise += d * d
  }
  sums.count += end - start
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
