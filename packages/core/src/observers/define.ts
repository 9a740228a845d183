import type { ChannelStats, TensorStats } from '../calibration/stats.ts'
import type { QuantSpec, Range } from '../quant/spec.ts'

/**
 * Chooses a range from statistics. Pure: same statistics, same answer. The range holds zero, is finite, and scales with the
 * data: twice the values, twice the range.
 */
export interface Observer<O extends object = Record<string, never>> {
  readonly name: string
  readonly summary: string
  readonly defaults: O
  /** What must be collected; `histogram` implies `minmax`. */
  readonly wants: 'minmax' | 'histogram'
  range(stats: TensorStats, spec: QuantSpec, options: O): Range
  /** A sentence for the report when the statistics are too thin for this observer to do what its name says. */
  caution?(stats: TensorStats, spec: QuantSpec, options: O): string | undefined
}

export type { ChannelStats, TensorStats }
