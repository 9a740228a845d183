import { type QuantSpec, type Range, withZero } from '../quant/index.ts'
import type { TensorStats } from './define.ts'

/** True where all values lie on one side of zero, as behind a ReLU: the grid then spends all its codes there. */
export const isOneSided = ({ min, max }: TensorStats): boolean => min >= 0 || max <= 0

/**
 * The clipping threshold, in units of the distribution's width, at which the derivative of clipping plus rounding error is zero.
 * Rounding costs t²/(3·n²) for n codes over [−t, t], and a quarter of it where all codes lie on one side.
 */
export function threshold(clippingSlope: (t: number) => number, stats: TensorStats, spec: QuantSpec): number {
  const codes = (spec.quantMax - spec.quantMin + 1) * (isOneSided(stats) ? 2 : 1)
  const slope = (t: number): number => clippingSlope(t) + t / (3 * codes * codes)
  let [low, high] = [0, 64]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (slope(middle) < 0) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** `reach` around the mean, or from zero on one side, never beyond the extremes. */
export function around(mean: number, reach: number, stats: TensorStats): Range {
  const centre = isOneSided(stats) ? 0 : mean
  return withZero({ lo: Math.max(stats.min, centre - reach), hi: Math.min(stats.max, centre + reach) })
}
