import { invariant } from '../util/index.ts'
import { HistogramBuilder, mergeHistograms } from './histogram.ts'
import type { ChannelStats, TensorStats } from './stats.ts'

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
      ...(this.#channels ? { channels: this.#channels } : {}),
    }
  }
}

/** Exact statistics, full histogram included, of data at hand: a constant weight, one channel of it, a test's vector. */
export function statsOf(values: Float32Array): TensorStats {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (const x of values) {
    if (x < min) min = x
    if (x > max) max = x
  }
  const stats = new StatsAccumulator()
  stats.add({ count: values.length, min, max, sample: values })
  return stats.build()
}

/** The statistics of both parts together. Exact, whatever the order. */
export function mergeStats(a: TensorStats, b: TensorStats): TensorStats {
  invariant(!a.histogram === !b.histogram, () => 'merging statistics with and without a histogram')
  invariant(!a.channels === !b.channels, () => 'merging statistics with and without channels')
  return {
    count: a.count + b.count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    ...(a.histogram && b.histogram ? { histogram: mergeHistograms(a.histogram, b.histogram) } : {}),
    ...(a.channels && b.channels ? { channels: mergeChannels(a.channels, b.channels) } : {}),
  }
}

function mergeChannels(a: ChannelStats | undefined, b: ChannelStats): ChannelStats {
  invariant(!a || (a.axis === b.axis && a.min.length === b.min.length), () => 'channels changed between batches')
  return {
    axis: b.axis,
    min: b.min.map((x, c) => Math.min(x, a?.min[c] ?? x)),
    max: b.max.map((x, c) => Math.max(x, a?.max[c] ?? x)),
  }
}
