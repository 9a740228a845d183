import type { QuantSpec, Range } from '../quant/spec.ts'
import type { ChannelStats, TensorStats } from '../calibration/stats.ts'

/** Chooses a range from statistics. Pure: same statistics, same answer. */
export interface Observer<O extends object = Record<string, never>> {
  readonly name: string
  readonly summary: string
  readonly defaults: O
  /** What must be collected; `histogram` implies `minmax`. */
  readonly wants: 'minmax' | 'histogram'
  range(stats: TensorStats, spec: QuantSpec, options: O): Range
}

export type { ChannelStats, TensorStats }
