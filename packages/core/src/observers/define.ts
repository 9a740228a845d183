import type { BatchRecord, ChannelStats, Statistic, TensorStats } from '../calibration/stats.ts'
import { withZero } from '../quant/index.ts'
import type { QuantSpec, Range } from '../quant/spec.ts'
import { problem } from '../util/index.ts'

/**
 * Chooses a range from statistics. Pure: same statistics, same answer. The range holds zero, is finite, and scales with the
 * data: twice the values, twice the range.
 */
export interface Observer<O extends object = Record<string, never>> {
  readonly name: string
  readonly summary: string
  readonly defaults: O
  /** What must be collected; extremes always are. */
  readonly wants: readonly Statistic[]
  /** Its choice moves where histograms are sampled: asked for by name, it is given every element. */
  readonly exhaustive?: true
  /** True for an observer that takes its range from its options and looks at no data. */
  readonly passive?: true
  range(stats: TensorStats, spec: QuantSpec, options: O): Range
  /** A sentence for the report when the statistics are too thin for this observer to do what its name says. */
  caution?(stats: TensorStats, spec: QuantSpec, options: O): string | undefined
}

export type { BatchRecord, ChannelStats, Statistic, TensorStats }

type RangeOf<O> = (stats: TensorStats, spec: QuantSpec, options: O) => Range

/** The extremes, with zero. */
export const wholeRange = (stats: TensorStats): Range => withZero({ lo: stats.min, hi: stats.max })

/** A constant tensor has nothing to choose: its value and zero are both exact at its extremes. */
export const unlessConstant =
  <O>(range: RangeOf<O>): RangeOf<O> =>
  (stats, spec, options) =>
    stats.min === stats.max ? wholeRange(stats) : range(stats, spec, options)

/** @throws FewbitError OBSERVER_OPTION for a number that is not from `least` to `most`. */
export function within(option: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value
  throw problem('OBSERVER_OPTION', `${option} is ${value}, and must be from ${least} to ${most}`, { at: { option } })
}
