import {
  type Batch,
  type BatchOptions,
  batches,
  type Dataset,
  type Engine,
  type Feeds,
  modelInputs,
  type Session,
} from '../engine/index.ts'
import { type Model, Tensor } from '../ir/index.ts'
import { FewbitError, must, problem } from '../util/index.ts'
import { MeasuredValue } from './measured-value.ts'
import { type InstrumentedModel, instrument, POWER_SUMS, STATS } from './reducers.ts'
import { mergeRequests, type StatRequest } from './requests.ts'
import { sampleStep } from './sampling.ts'
import type { ChannelStats, Moments, StatsTable } from './stats.ts'

export interface CollectOptions {
  /** Stop after this many samples; default all. */
  readonly samples?: number
  /** Samples a run, where the model's batch axis is open; default 1. */
  readonly batchSize?: number
  /**
   * Elements of each value that stand for the bulk of its histogram, about; Infinity counts every one. Extremes are exact, and so
   * are the tails of values that have blocks.
   */
  readonly elements?: number
  readonly onProgress?: (done: { readonly samples: number }) => void
  readonly signal?: AbortSignal
}

/** The bulk of a distribution needs few: mse then chooses ranges within 0.03 dB of those of all elements (docs/observers.md). */
export const DEFAULT_ELEMENTS = 2 ** 16
/** Samples to expect of a data set that does not say. */
const EXPECTED_SAMPLES = 128

/**
 * Measures the requested values in one pass over the data. Memory does not depend on the number of samples, and the result not on
 * how they are batched.
 * @throws FewbitError CALIB_EMPTY without data; CALIB_NONFINITE naming the first value, in graph order, that holds NaN or infinity;
 * CALIB_VALUE; DATA_* and ENGINE_* from below; the signal's reason when aborted.
 */
export async function collectStats(
  model: Model,
  engine: Engine,
  dataset: Dataset,
  requests: readonly StatRequest[],
  options: CollectOptions = {},
): Promise<StatsTable> {
  if (requests.length === 0) return new Map()
  const instrumented = instrument(model, mergeRequests(requests))
  const session = await engine.load(instrumented.model)
  try {
    return await collect(session, instrumented, model, dataset, options)
  } finally {
    await session.release()
  }
}

async function collect(
  session: Session,
  instrumented: InstrumentedModel,
  model: Model,
  dataset: Dataset,
  options: CollectOptions,
): Promise<StatsTable> {
  const batchSize = hasSeries(instrumented) ? 1 : (options.batchSize ?? 1)
  const { samples: limit = Number.POSITIVE_INFINITY, signal, elements = DEFAULT_ELEMENTS } = options
  const expected = Math.min(limit, dataset.length ?? EXPECTED_SAMPLES)
  const runs = (batching: BatchOptions) =>
    nonEmpty(batches(dataset, modelInputs(model), { ...batching, ...(signal ? { signal } : {}) }), dataset)
  const collector = new Collector(session, instrumented, elements / Math.max(expected, 1))
  for await (const batch of runs({ limit: Math.min(limit, 1) })) await collector.choosePositions(batch)
  let samples = 0
  for await (const batch of runs({ batchSize, limit })) {
    await collector.add(batch)
    signal?.throwIfAborted()
    samples += batch.samples.length
    options.onProgress?.({ samples })
  }
  return collector.build()
}

/** Records of a series are one a sample, or the result would depend on how samples are batched. */
const hasSeries = ({ requests }: InstrumentedModel): boolean => requests.some(({ wants }) => wants.includes('series'))

/** Passes batches on; calibration without data has its own name, because its remedy is another option. */
async function* nonEmpty(source: AsyncIterable<Batch>, dataset: Dataset): AsyncGenerator<Batch> {
  try {
    yield* source
  } catch (error) {
    if (!(error instanceof FewbitError) || error.code !== 'DATA_EMPTY') throw error
    const fix = 'give calibration data with at least one sample'
    throw problem('CALIB_EMPTY', `"${dataset.name}" has no samples to calibrate on`, { fix }, error)
  }
}

/** Sums as `STATS` and `POWER_SUMS` lay them out. */
function momentsFrom(stats: Float32Array): Moments {
  const [, , sum, sumOfMagnitudes, sumOfSquares] = stats as unknown as [number, number, number, number, number]
  return { sum, sumOfMagnitudes, sumOfSquares }
}

class Collector {
  readonly #session: Session
  readonly #instrumented: InstrumentedModel
  readonly #elements: number
  #measured: MeasuredValue[]

  /** @param elements to count of each value and sample. */
  constructor(session: Session, instrumented: InstrumentedModel, elements: number) {
    this.#session = session
    this.#instrumented = instrumented
    this.#elements = elements
    this.#measured = instrumented.requests.map((request, i) => new MeasuredValue(request, instrumented.blocks[i]))
  }

  /** Strides follow from sizes, which are known for certain once something has run: one sample, without looking at its values. */
  async choosePositions({ feeds, rows }: Batch): Promise<void> {
    if (!this.#measured.some(({ isSampled }) => isSampled)) return
    const sizes = numbers(await this.#run(feeds), this.#instrumented.sizes).values()
    this.#measured = this.#measured.map((value) => {
      const shape = value.shape(sizes)
      return value.isSampled ? value.taking(sampleStep((shape.rows * shape.size) / rows, this.#elements)) : value
    })
  }

  async add(batch: Batch): Promise<void> {
    const outputs = await this.#run(batch.feeds)
    const sizes = numbers(outputs, this.#instrumented.sizes).values()
    for (const [i, measured] of this.#measured.entries()) {
      const shape = measured.shape(sizes)
      const count = shape.rows * shape.size
      if (count === 0) continue
      const stats = numbers(outputs, this.#instrumented.stats[i] as string) as Float32Array
      const [min, max, sum] = stats as unknown as [number, number, number]
      if (!Number.isFinite(min) || !Number.isFinite(max) || Number.isNaN(sum)) throw this.#nonFinite(i, batch)
      const channels = this.#channels(outputs, i)
      const moments = measured.request.wants.includes('moments') ? momentsFrom(stats) : undefined
      const margins = this.#instrumented.margins[i]
      const rest = stats.subarray(STATS.length + (moments ? POWER_SUMS.length : 0))
      const elements = measured.part(rest, shape, this.#instrumented.isStrided)
      measured.accumulator.add({
        count,
        min,
        max,
        ...elements,
        ...(moments ? { moments } : {}),
        ...(margins ? { margins: numbers(outputs, margins) } : {}),
        ...(channels ? { channels } : {}),
      })
      measured.position.advance(count)
    }
  }

  build(): StatsTable {
    const seen = this.#measured.filter(({ accumulator }) => accumulator.count > 0)
    return new Map(seen.map(({ request, accumulator }) => [request.value, accumulator.build()]))
  }

  #run(feeds: Feeds): Promise<Feeds> {
    const slices = this.#measured.flatMap(({ position: { start, step } }) => [start, step])
    return this.#session.run({
      ...feeds,
      [this.#instrumented.slices]: Tensor.int64([slices.length], slices),
    })
  }

  #channels(outputs: Feeds, i: number): ChannelStats | undefined {
    const names = this.#instrumented.channels[i]
    const axis = this.#instrumented.requests[i]?.channelAxis
    if (!names || axis === undefined) return undefined
    return {
      axis,
      min: Float64Array.from(numbers(outputs, names.min)),
      max: Float64Array.from(numbers(outputs, names.max)),
    }
  }

  #nonFinite(i: number, batch: Batch): FewbitError {
    const { value } = must(this.#instrumented.requests[i], 'request')
    const ids = batch.samples.map((sample) => sample.id).join(', ')
    return problem('CALIB_NONFINITE', `"${value}" holds NaN or infinity`, {
      at: { value },
      notes: [`first seen with ${ids}`, 'values before it in the graph are finite'],
      fix: 'check the preprocessing and that the float model works on this data; such a tensor cannot be quantized',
    })
  }
}

const numbers = (outputs: Feeds, name: string) => must(outputs[name], `output ${name}`).numbers()
