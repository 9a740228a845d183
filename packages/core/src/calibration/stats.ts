/**
 * Counts over a zero-aligned grid: bin i covers [(first + i)·width, (first + i + 1)·width). Widths are powers of two times a
 * common base, so that histograms of growing range merge by adding neighbours, exactly and in any order.
 */
export interface Histogram {
  readonly width: number
  /** Index of the first bin on the grid; negative for negative values. */
  readonly first: number
  readonly counts: Float64Array
}

/**
 * What can be asked of a value besides its minimum and maximum, which are always there.
 *
 * `histogram`, `moments` and `margins` merge: any split of the data gives the same. `elements` is a sample of elements, which merges up
 * to their order. `series` is that sample batch by batch, with the extremes of each: it knows the order of the data.
 */
export type Statistic = 'minmax' | 'histogram' | 'moments' | 'elements' | 'series' | 'margins'

/** What calibration knows of one tensor. */
export interface TensorStats {
  /** Elements seen by `min` and `max`: all of them. */
  readonly count: number
  readonly min: number
  readonly max: number
  /** Of all elements; where a sample stands for the bulk of them, `histogram.counts` sums to `count` only nearly. */
  readonly histogram?: Histogram
  readonly moments?: Moments
  /** Elements in their order, batch by batch: all, or an evenly spread sample. Behind `elements` and `series`. */
  readonly series?: readonly BatchRecord[]
  /** Largest and second largest score of each row of classes, as pairs: of the first 1024 rows. */
  readonly margins?: Float64Array
  /** Per-channel minima and maxima, where requested. */
  readonly channels?: ChannelStats
}

/** Sums over all elements. */
export interface Moments {
  readonly sum: number
  readonly sumOfMagnitudes: number
  readonly sumOfSquares: number
}

/** What one batch says of a value; of the whole where nobody asked for the order, it may be several batches. */
export interface BatchRecord {
  readonly count: number
  readonly min: number
  readonly max: number
  readonly values: Float32Array
}

export interface ChannelStats {
  readonly axis: number
  readonly min: Float64Array
  readonly max: Float64Array
}

/** Statistics by value name. */
export type StatsTable = ReadonlyMap<string, TensorStats>
