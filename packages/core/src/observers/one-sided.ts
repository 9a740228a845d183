import { must } from '../util/index.ts'
import type { TensorStats } from './define.ts'

/** The part of a histogram on one side of zero, by distance from zero: bin i covers [i·width, (i + 1)·width). */
export interface OneSided {
  readonly width: number
  readonly counts: Float64Array
}

/**
 * Both sides of a tensor's histogram. Where the histogram is a sample, the exact extremes are added with the weight that one
 * element has in it, so that a search knows of values that the sample missed.
 */
export function sidesOf(stats: TensorStats): { negative: OneSided; positive: OneSided } {
  const { width, first, counts: original } = must(stats.histogram, 'histogram')
  const counts = original.slice()
  const weight = counts.reduce((sum, n) => sum + n, 0) / stats.count
  for (const extreme of [stats.min, stats.max]) {
    const bin = Math.floor(extreme / width) - first
    if (counts[bin] === 0) counts[bin] = weight
  }
  return {
    negative: { width, counts: counts.slice(0, -first).reverse() },
    positive: { width, counts: counts.slice(-first) },
  }
}
