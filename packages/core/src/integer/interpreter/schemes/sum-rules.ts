import { multiplyByQuantizedMultiplier, multiplyRoundingOnce, ROUND, roundHalfEven } from '../../../util/index.ts'
import type { FixedFactor, Requantize, SumRule } from '../scheme.ts'

const f = Math.fround

/** A rule as a function; the rule stays with it for kernels that run outside of JavaScript. */
export const requantizeBy = (rule: SumRule): Requantize => Object.assign(functionOf(rule), { rule })

function functionOf(rule: SumRule): (sum: number, channel: number) => number {
  const last = rule.factors.length - 1
  if (rule.kind === 'fixed') {
    const { factors, zeroPoint } = rule
    return (sum, c) => multiplyFixed(sum, factors[Math.min(c, last)] as FixedFactor) + zeroPoint
  }
  const { factors } = rule
  const real = (sum: number, c: number): number => f(f(sum) * (factors[Math.min(c, last)] as number))
  if (rule.kind === 'real') return real
  const { zeroPoint } = rule
  if (rule.kind === 'factor') return (sum, c) => roundHalfEven(real(sum, c)) + zeroPoint
  if (rule.kind === 'two-factors') return (sum, c) => halfAdded(f(real(sum, c) * rule.inverse)) + zeroPoint
  const round = ROUND[rule.rounding]
  return (sum, c) => round(sum * (factors[Math.min(c, last)] as number), 0) + zeroPoint
}

/** Rounded half away from zero as C does by hand: half is added in float32, which lifts what lies just below a tie, and digits are cut off. */
export const halfAdded = (x: number): number => Math.trunc(f(x + (x < 0 ? -0.5 : 0.5)))

export const multiplyFixed = (x: number, factor: FixedFactor): number =>
  factor.ties === 'once' ? multiplyRoundingOnce(x, factor) : multiplyByQuantizedMultiplier(x, factor, factor.ties)
