import { invariant } from '../util/index.ts'
import { HistogramBuilder, mergeHistograms } from './histogram.ts'
import { joinSeries, SeriesBuilder } from './series.ts'
import type { ChannelStats, Moments, Statistic, TensorStats } from './stats.ts'

/** What one batch says about one value. */
export interface BatchStats {
  /** Elements behind `min` and `max`. */
  readonly count: number
  readonly min: number
  readonly max: number
  /** Elements to count in the histogram: all, or one in every `weight`. */
  readonly sample?: Float32Array
  /** Elements to count one by one, which the sample leaves out. */
  readonly tails?: Float32Array
  readonly moments?: Moments
  /** Elements to keep: all, or an even sample. */
  readonly values?: Float32Array
  /** Largest and second largest score of each row, as pairs. */
  readonly margins?: ArrayLike<number>
  readonly channels?: ChannelStats
}

/** Statistics of one value, growing batch by batch in memory that does not depend on their number. */
export class StatsAccumulator {
  #count = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY
  readonly #weight: number
  #sampled: HistogramBuilder | undefined
  #tails: HistogramBuilder | undefined
  #moments: Moments | undefined
  #series: SeriesBuilder | undefined
  #margins: Float64Array | undefined
  #channels: ChannelStats | undefined

  /** @param weight elements that each sampled one stands for. */
  constructor(weight = 1) {
    this.#weight = weight
  }

  add(batch: BatchStats): void {
    if (batch.count === 0) return
    this.#count += batch.count
    // Adding 0 turns -0 into 0, which JSON does not keep apart.
    this.#min = Math.min(this.#min, batch.min) + 0
    this.#max = Math.max(this.#max, batch.max) + 0
    if (batch.sample) {
      this.#sampled ??= new HistogramBuilder()
      this.#sampled.add(batch.sample, batch.min, batch.max)
    }
    if (batch.tails?.length) {
      this.#tails ??= new HistogramBuilder()
      this.#tails.add(batch.tails, batch.min, batch.max)
    }
    if (batch.moments) this.#moments = addMoments(this.#moments, batch.moments)
    if (batch.values) {
      this.#series ??= new SeriesBuilder()
      const { count, min, max, values } = batch
      this.#series.add({ count, min, max, values })
    }
    if (batch.margins) this.#margins = addMargins(this.#margins, batch.margins)
    if (batch.channels) this.#channels = mergeChannels(this.#channels, batch.channels)
  }

  get count(): number {
    return this.#count
  }

  build(): TensorStats {
    invariant(this.#count > 0, () => 'statistics of no elements')
    const sampled = this.#sampled?.build(this.#weight)
    const histogram = sampled && this.#tails ? mergeHistograms(sampled, this.#tails.build()) : sampled
    return {
      count: this.#count,
      min: this.#min,
      max: this.#max,
      ...(histogram ? { histogram } : {}),
      ...(this.#moments ? { moments: this.#moments } : {}),
      ...(this.#series ? { series: this.#series.build() } : {}),
      ...(this.#margins ? { margins: this.#margins } : {}),
      ...(this.#channels ? { channels: this.#channels } : {}),
    }
  }
}

/** Exact statistics of data at hand: a constant weight, one channel of it, a test's vector. */
export function statsOf(values: Float32Array, wants: readonly Statistic[] = ['histogram']): TensorStats {
  return statsOfBatches([values], wants)
}

/** Exact statistics of data at hand that came in batches. Elements are all kept, as far as a series keeps any. */
export function statsOfBatches(batches: Iterable<Float32Array>, wants: readonly Statistic[]): TensorStats {
  const stats = new StatsAccumulator()
  for (const values of batches) {
    stats.add({
      count: values.length,
      ...extremesOf(values),
      ...(wants.includes('histogram') ? { sample: values } : {}),
      ...(wants.includes('moments') ? { moments: momentsOf(values) } : {}),
      ...(wants.includes('elements') || wants.includes('series') ? { values } : {}),
      ...(wants.includes('margins') && values.length > 1 ? { margins: topTwo(values) } : {}),
    })
  }
  return stats.build()
}

function extremesOf(values: Float32Array): { min: number; max: number } {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (const x of values) {
    if (x < min) min = x
    if (x > max) max = x
  }
  return { min, max }
}

function momentsOf(values: Float32Array): Moments {
  let [sum, sumOfMagnitudes, sumOfSquares] = [0, 0, 0]
  for (const x of values) {
    sum += x
    sumOfMagnitudes += Math.abs(x)
    sumOfSquares += x * x
  }
  return { sum, sumOfMagnitudes, sumOfSquares }
}

function topTwo(values: Float32Array): [number, number] {
  let [first, second] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const x of values) {
    if (x > first) [first, second] = [x, first]
    else if (x > second) second = x
  }
  return [first, second]
}

/**
 * The statistics of both parts together. Exact, whatever the order, but for the series, in which the second part follows the first.
 */
export function mergeStats(a: TensorStats, b: TensorStats): TensorStats {
  for (const key of ['histogram', 'moments', 'series', 'channels'] as const) {
    invariant(!a[key] === !b[key], () => `merging statistics with and without ${key}`)
  }
  return {
    count: a.count + b.count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    ...(a.histogram && b.histogram ? { histogram: mergeHistograms(a.histogram, b.histogram) } : {}),
    ...(a.moments && b.moments ? { moments: addMoments(a.moments, b.moments) } : {}),
    ...(a.series && b.series ? { series: joinSeries([...a.series, ...b.series]) } : {}),
    ...(b.margins ? { margins: addMargins(a.margins, b.margins) } : a.margins ? { margins: a.margins } : {}),
    ...(a.channels && b.channels ? { channels: mergeChannels(a.channels, b.channels) } : {}),
  }
}

const addMoments = (a: Moments | undefined, b: Moments): Moments =>
  a
    ? {
        sum: a.sum + b.sum,
        sumOfMagnitudes: a.sumOfMagnitudes + b.sumOfMagnitudes,
        sumOfSquares: a.sumOfSquares + b.sumOfSquares,
      }
    : b

/** Rows whose margins are kept. */
const MAX_ROWS = 1024

const addMargins = (a: Float64Array | undefined, b: ArrayLike<number>): Float64Array =>
  Float64Array.from([...(a ?? []), ...Array.from(b)].slice(0, 2 * MAX_ROWS))

function mergeChannels(a: ChannelStats | undefined, b: ChannelStats): ChannelStats {
  invariant(!a || (a.axis === b.axis && a.min.length === b.min.length), () => 'channels changed between batches')
  return {
    axis: b.axis,
    min: b.min.map((x, c) => Math.min(x, a?.min[c] ?? x)),
    max: b.max.map((x, c) => Math.max(x, a?.max[c] ?? x)),
  }
}
