import type { RoundingMode } from '../../../util/index.ts'
import type { Grid, Requantize, SumSite } from '../scheme.ts'
import { requantizeBy } from './sum-rules.ts'

const f = Math.fround

/** float32(scale(x) · scale(w)) / step, for each channel. */
const factorsOf = ({ input, weightScales }: SumSite, step: number): Float32Array =>
  Float32Array.from(weightScales, (w) => f(f(input.scale * w) / step))

/** Sums to real values by a float32 factor for each channel. */
export const scaledSums = (site: SumSite): Requantize => requantizeBy({ kind: 'real', factors: factorsOf(site, 1) })

/** Sums to codes by such a factor, rounded once. */
export function roundedSums(site: SumSite, { scale, zeroPoint }: Grid, rounding: RoundingMode): Requantize {
  return requantizeBy({ kind: 'factor', factors: factorsOf(site, scale), rounding, zeroPoint })
}
