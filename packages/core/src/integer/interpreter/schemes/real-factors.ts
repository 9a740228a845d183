import type { Grid, Requantize, SumSite } from '../scheme.ts'
import { requantizeBy } from './sum-rules.ts'

const f = Math.fround

/** float32(scale(x) · scale(w)) / step, for each channel. */
const factorsOf = ({ input, weightScales }: SumSite, step: number): Float32Array =>
  Float32Array.from(weightScales, (w) => f(f(input.scale * w) / step))

/** Sums to real values by a float32 factor for each channel. */
export const scaledSums = (site: SumSite): Requantize => requantizeBy({ kind: 'real', factors: factorsOf(site, 1) })

/** Sums to codes by such a factor, rounded once, half to even. */
export const roundedSums = (site: SumSite, { scale, zeroPoint }: Grid): Requantize =>
  requantizeBy({ kind: 'factor', factors: factorsOf(site, scale), zeroPoint })

/** Sums to real values, and these by the float32 reciprocal of the step to codes. */
export const rescaledSums = (site: SumSite, { scale, zeroPoint }: Grid): Requantize =>
  requantizeBy({ kind: 'two-factors', factors: factorsOf(site, 1), inverse: f(1 / scale), zeroPoint })
