import { type Range, withZero } from '../quant/index.ts'
import { must, problem } from '../util/index.ts'
import type { Observer, TensorStats } from './define.ts'

export interface PercentileOptions {
  /** Share of the values, in percent, that each end keeps: at 99.99, one in ten thousand is clipped at either end. */
  readonly percentile: number
}

/** Clips a fixed share of the values at each end. See docs/observers/percentile.md. */
export const percentile: Observer<PercentileOptions> = {
  name: 'percentile',
  summary: 'the quantiles that leave out a fixed share of the values at each end',
  defaults: { percentile: 99.99 },
  wants: ['histogram'],
  range: (stats, _spec, options) => withZero(quantileRange(stats, tailOf(options))),
  caution(stats, _spec, options) {
    const counted = must(stats.histogram, 'histogram').counts.reduce((sum, n) => sum + n, 0)
    const clipped = counted * tailOf(options)
    if (clipped >= 1) return undefined
    return `there are too few values to leave out ${(100 - options.percentile).toPrecision(2)} % of them: same as minmax`
  },
}

/** @throws FewbitError OBSERVER_OPTION for shares outside 50 to 100 %, such as a fraction given for a percentage. */
function tailOf({ percentile }: PercentileOptions): number {
  if (percentile > 50 && percentile <= 100) return 1 - percentile / 100
  const fix = 'give a percentage above 50 and up to 100, such as 99.99'
  throw problem('OBSERVER_OPTION', `${percentile} is no percentile to clip at`, { at: { option: 'percentile' }, fix })
}

/** The values that leave ⌊n · tail⌋ others beyond them at either end. A tail of less than one value is empty and gives the exact end. */
function quantileRange(stats: TensorStats, tail: number): Range {
  const { width, first, counts } = must(stats.histogram, 'histogram')
  const total = counts.reduce((sum, n) => sum + n, 0)
  const rank = Math.floor(total * tail)
  if (rank < 1) return { lo: stats.min, hi: stats.max }
  const clamp = (x: number): number => Math.min(Math.max(x, stats.min), stats.max)
  const below = edgeBelow(counts, rank)
  const above = edgeBelow(counts.toReversed(), rank)
  return { lo: clamp((first + below) * width), hi: clamp((first + counts.length - above) * width) }
}

/** Distance from the front, in bins, of the value that has `rank` values before it; a bin's values count as evenly spread. */
function edgeBelow(counts: Float64Array, rank: number): number {
  let seen = 0
  let bin = 0
  while (bin < counts.length - 1 && seen + (counts[bin] as number) <= rank) seen += counts[bin++] as number
  return bin + (rank - seen + 0.5) / Math.max(counts[bin] as number, 1)
}
