import { ROUND, type RoundingMode } from '../../../util/index.ts'
import type { Grid, Scheme } from '../scheme.ts'
import { exactSoftmax } from './exact-softmax.ts'
import { dequantizer, quantizer } from './real-values.ts'
import { requantizeBy } from './sum-rules.ts'

/** Exponent of a ratio of scales, or undefined where it is no power of two. */
function exponentOf(ratio: number): number | undefined {
  const exponent = Math.round(Math.log2(ratio))
  return 2 ** exponent === ratio ? exponent : undefined
}

const NOT_POWER = 'the ratio of its scales is no power of two, and this arithmetic only shifts'

/** A table may hold any function. */
function tableCode(
  real: (x: number) => number,
  { input, output, rounding }: { input: Grid; output: Grid; rounding: RoundingMode },
): (code: number) => number {
  const [value, code] = [dequantizer(input), quantizer(output, rounding)]
  return (x) => code(Math.fround(real(value(x))))
}

/**
 * Accelerators that only shift: sums of codes by a power of two, rounded once. Scales have to be powers of two, and zero points are 0
 * mostly.
 */
function powerOfTwo(name: string, rounding: RoundingMode, title: string, source: string): Scheme {
  const round = ROUND[rounding]
  const shifted = (ratio: number, zero: number): ((x: number) => number) | string => {
    const exponent = exponentOf(ratio)
    // A product with a power of two is exact in float64.
    return exponent === undefined ? NOT_POWER : (x) => round(x * ratio, 0) + zero
  }
  return {
    name,
    title,
    summary: `a shift, rounded ${rounding}`,
    source,
    rounding,
    bias: 'int32',
    sums({ input, weightScales }, output) {
      const factors = Float64Array.from(weightScales, (w) => (input.scale * w) / output.scale)
      if (factors.some((factor) => exponentOf(factor) === undefined)) return NOT_POWER
      return requantizeBy({ kind: 'exact', factors, rounding, zeroPoint: output.zeroPoint })
    },
    add({ a, b, output }, sign) {
      const [left, right] = [a.scale / output.scale, b.scale / output.scale]
      if (exponentOf(left) === undefined || exponentOf(right) === undefined) return NOT_POWER
      return (x, y) => round((x - a.zeroPoint) * left + sign * (y - b.zeroPoint) * right, 0) + output.zeroPoint
    },
    mul({ a, b, output }) {
      const scaled = shifted((a.scale * b.scale) / output.scale, output.zeroPoint)
      if (typeof scaled === 'string') return scaled
      return (x, y) => scaled((x - a.zeroPoint) * (y - b.zeroPoint))
    },
    average({ input, output }) {
      const ratio = input.scale / output.scale
      if (exponentOf(ratio) === undefined) return NOT_POWER
      return (codes, count, divisor) => {
        let sum = -count * input.zeroPoint
        for (let i = 0; i < count; i++) sum += codes[i] as number
        return round((sum * ratio) / divisor, 0) + output.zeroPoint
      }
    },
    mean({ input, output, count }) {
      const ratio = input.scale / output.scale
      if (exponentOf(ratio) === undefined) return NOT_POWER
      return (sum) => round(((sum - count * input.zeroPoint) * ratio) / count, 0) + output.zeroPoint
    },
    rescale(from, to) {
      const ratio = from.scale / to.scale
      return (code) => round((code - from.zeroPoint) * ratio, 0) + to.zeroPoint
    },
    unary({ input, output, real }) {
      if (real) return tableCode(real, { input, output, rounding })
      const scaled = shifted(input.scale / output.scale, output.zeroPoint)
      return typeof scaled === 'string' ? undefined : (x) => scaled(x - input.zeroPoint)
    },
    softmax: (site) => exactSoftmax(site, quantizer(site.output, rounding)),
  }
}

export const pot = powerOfTwo('pot', 'half-up', 'Shifts, halves up', 'AMD Vitis AI UG1414, DPU arithmetic')
export const potEven = powerOfTwo('pot-half-even', 'half-even', 'Shifts, halves to even', 'PPQ, FPGA targets')
export const potAway = powerOfTwo('pot-half-away', 'half-away', 'Shifts, halves away from zero', 'NXP eIQ, weights')
export const potFloor = powerOfTwo('pot-floor', 'floor', 'Shifts that cut off', 'arithmetic shift to the right')
