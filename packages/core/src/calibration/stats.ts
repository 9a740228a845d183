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

/** What calibration knows of one tensor. Mergeable: any split of the data gives the same result. */
export interface TensorStats {
  /** Elements seen by `min` and `max`: all of them. */
  readonly count: number
  readonly min: number
  readonly max: number
  /** Of all elements; where a sample stands for the bulk of them, `histogram.counts` sums to `count` only nearly. */
  readonly histogram?: Histogram
  /** Per-channel minima and maxima, where requested. */
  readonly channels?: ChannelStats
}

export interface ChannelStats {
  readonly axis: number
  readonly min: Float64Array
  readonly max: Float64Array
}

/** Statistics by value name. */
export type StatsTable = ReadonlyMap<string, TensorStats>
