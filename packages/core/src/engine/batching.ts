import { problem } from '../util/index.ts'
import { checkSample } from './check-sample.ts'
import { collate, rows } from './collate.ts'
import type { Dataset, Sample } from './dataset.ts'
import type { Feeds } from './engine.ts'
import type { ModelInput } from './inputs.ts'

export interface BatchOptions {
  /** Samples per run where the model's batch axis is open. Default 1. */
  readonly batchSize?: number
  /** Stop after this many samples. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** What one run of the model takes. */
export interface Batch {
  readonly feeds: Feeds
  /** The samples in it; with a fixed batch axis the feeds may hold more rows than this (see `dropPadding`). */
  readonly samples: readonly Sample[]
  /** Rows along axis 0, padding included. */
  readonly rows: number
}

/** How many samples a run takes, by the model's first axes: any number, exactly `size`, or one. */
export type BatchMode =
  | { readonly kind: 'open' }
  | { readonly kind: 'fixed'; readonly size: number }
  | { readonly kind: 'single' }

/** @param first a sample, whose first axis tells a fixed batch from a state of that size. */
export function batchMode(inputs: readonly ModelInput[], first?: Sample): BatchMode {
  const leading = inputs.map((input) => input.shape?.[0])
  if (inputs.length === 0 || inputs.some((input) => input.shape?.length === 0)) return { kind: 'single' }
  if (leading.every((dim) => typeof dim !== 'number')) return { kind: 'open' }
  const size = leading[0]
  const uniform = typeof size === 'number' && size > 1 && leading.every((dim) => dim === size)
  const oneByOne = inputs.every((input) => (first?.feeds[input.name]?.dims[0] ?? 1) === 1)
  return uniform && oneByOne ? { kind: 'fixed', size } : { kind: 'single' }
}

/**
 * Groups samples into runs, in order. Neighbours whose shapes differ go into runs of their own; a fixed batch is filled by
 * repeating its last sample.
 * @throws FewbitError DATA_EMPTY without a sample; DATA_* for a sample that does not fit; the signal's reason when aborted.
 */
export async function* batches(
  dataset: Dataset,
  inputs: readonly ModelInput[],
  options: BatchOptions = {},
): AsyncGenerator<Batch> {
  let mode: BatchMode | undefined
  const pending: Sample[] = []
  let count = 0
  for await (const sample of limited(dataset, options)) {
    checkSample(sample, inputs)
    mode ??= batchMode(inputs, sample)
    const size = mode.kind === 'open' ? (options.batchSize ?? 1) : mode.kind === 'fixed' ? mode.size : 1
    if (pending[0] && (pending.length === size || !sameShapes(pending[0], sample)))
      yield makeBatch(pending.splice(0), mode)
    pending.push(sample)
    count++
  }
  if (count === 0) throw empty(dataset)
  if (pending.length > 0 && mode) yield makeBatch(pending, mode)
}

async function* limited(dataset: Dataset, { limit = Number.POSITIVE_INFINITY, signal }: BatchOptions) {
  if (limit <= 0) return
  let left = limit
  for await (const sample of dataset.samples()) {
    signal?.throwIfAborted()
    yield sample
    if (--left <= 0) return
  }
}

function sameShapes(a: Sample, b: Sample): boolean {
  return Object.entries(a.feeds).every(([name, tensor]) => tensor.dims.join() === b.feeds[name]?.dims.join())
}

function makeBatch(samples: readonly Sample[], mode: BatchMode): Batch {
  const feeds = samples.map((sample) => sample.feeds)
  const last = feeds.at(-1)
  if (mode.kind === 'fixed' && last) while (feeds.length < mode.size) feeds.push(last)
  return { feeds: collate(feeds), samples, rows: feeds.length }
}

/** Outputs of a run without the rows that only fill a fixed batch. Outputs without a batch axis stay as they are. */
export function dropPadding(outputs: Feeds, batch: Batch): Feeds {
  const real = batch.samples.length
  if (real === batch.rows) return outputs
  return Object.fromEntries(
    Object.entries(outputs).map(([name, t]) => [name, t.dims[0] === batch.rows ? rows(t, 0, real) : t]),
  )
}

/** One sample's row of each output; an output without a batch axis is shared by all. */
export function outputsOf(outputs: Feeds, batch: Batch, index: number): Feeds {
  if (batch.rows === 1) return outputs
  return Object.fromEntries(
    Object.entries(outputs).map(([name, t]) => [name, t.dims[0] === batch.rows ? rows(t, index, index + 1) : t]),
  )
}

function empty(dataset: Dataset): Error {
  return problem('DATA_EMPTY', `"${dataset.name}" holds no samples`, {
    fix: 'point --data at a folder or file with samples',
  })
}
