import type { Grid, Requantize, SumSite } from '../scheme.ts'

const f = Math.fround

/** Sums to real values times a float32 factor for each channel: float32(scale(x) · scale(w)) / step. */
export function scaledSums({ input, weightScales }: SumSite, step = 1): Requantize {
  const factors = Float32Array.from(weightScales, (w) => f(f(input.scale * w) / step))
  const last = factors.length - 1
  return (sum, c) => f(f(sum) * (factors[Math.min(c, last)] as number))
}

/** Sums to codes by such a factor, rounded once. */
export function roundedSums(site: SumSite, { scale, zeroPoint }: Grid, round: (x: number) => number): Requantize {
  const scaled = scaledSums(site, scale)
  return (sum, c) => round(scaled(sum, c)) + zeroPoint
}
