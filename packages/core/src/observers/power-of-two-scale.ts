import { powerOfTwo, type QuantSpec, type Range } from '../quant/index.ts'
import { type TensorStats, within } from './define.ts'
import { gridError } from './elements.ts'
import { rangeOfScale, zeroPointFor } from './grid-search.ts'

export interface PowerOfTwoOptions {
  /** Scales that are tried: the power of two that clips nothing, and its halves. 1 takes the first. */
  readonly tries: number
}

/** The scale that clips nothing: −min/−qmin or max/qmax, whichever is larger; affine, the range over the number of steps. */
function leastScale({ min, max }: TensorStats, { symmetric, quantMin, quantMax }: QuantSpec): number {
  if (!symmetric) return (Math.max(max, 0) - Math.min(min, 0)) / (quantMax - quantMin)
  const below = min < 0 ? (quantMin < 0 ? min / quantMin : -min / (quantMax / 2)) : 0
  const above = max / (quantMin === 0 && min < 0 ? quantMax / 2 : quantMax)
  return Math.max(below, above)
}

/** The power of two with the least squared error on the values, from the one that clips nothing down; the largest of equals. */
export function bestPowerOfTwo(
  values: Float32Array,
  stats: TensorStats,
  spec: QuantSpec,
  options: PowerOfTwoOptions,
): number {
  const tries = within('tries', options.tries, 1, 16)
  const first = powerOfTwo(leastScale(stats, spec), 'ceil')
  if (tries === 1) return first
  let best = { scale: first, error: Number.POSITIVE_INFINITY }
  for (let i = 0; i < tries; i++) {
    const scale = first * 2 ** -i
    const error = gridError(values, { scale, zeroPoint: zeroPointFor(scale, stats, spec) }, spec, 2)
    if (error < best.error) best = { scale, error }
  }
  return best.scale
}

/** The range of a scale, the zero point following from the extremes. */
export const rangeFor = (scale: number, stats: TensorStats, spec: QuantSpec): Range =>
  rangeOfScale(scale, zeroPointFor(scale, stats, spec), spec)
