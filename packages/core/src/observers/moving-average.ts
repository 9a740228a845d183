import type { Range } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { type BatchRecord, type TensorStats, within } from './define.ts'

export interface MomentumOptions {
  /** Share of the past that each sample leaves standing. */
  readonly momentum: number
}

/** The first sample's range, then momentum · old + (1 − momentum) · new. */
export function movingAverage(
  stats: TensorStats,
  { momentum }: MomentumOptions,
  rangeOf: (record: BatchRecord) => Range,
): Range {
  within('momentum', momentum, 0, 1)
  const [first, ...rest] = must(stats.series, 'series').map(rangeOf)
  return rest.reduce(
    (old, { lo, hi }) => ({
      lo: momentum * old.lo + (1 - momentum) * lo,
      hi: momentum * old.hi + (1 - momentum) * hi,
    }),
    must(first, 'first sample'),
  )
}
