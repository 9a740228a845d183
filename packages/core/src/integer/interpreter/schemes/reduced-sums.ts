import { multiplyByReducedMultiplier, quantizeMultiplier } from '../../../util/index.ts'
import type { Grid, Requantize, SumSite } from '../scheme.ts'

export const is16 = ({ dtype }: Grid): boolean => dtype === 'int16' || dtype === 'uint16'

/** Sums of 16-bit data, in 64 bits, by a multiplier that is reduced to 16 bits (TensorFlow Lite's and CMSIS-NN's 16x8 kernels). */
export function reducedSums({ input, weightScales }: SumSite, output: Grid): Requantize {
  const factors = Array.from(weightScales, (w) => quantizeMultiplier((input.scale * w) / output.scale))
  const last = factors.length - 1
  return (sum, c) =>
    multiplyByReducedMultiplier(sum, factors[Math.min(c, last)] as (typeof factors)[0]) + output.zeroPoint
}
