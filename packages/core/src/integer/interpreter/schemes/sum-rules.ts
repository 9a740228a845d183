import { multiplyByQuantizedMultiplier, multiplyRoundingOnce, ROUND } from '../../../util/index.ts'
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
  if (rule.kind === 'real') return (sum, c) => f(f(sum) * (factors[Math.min(c, last)] as number))
  const { zeroPoint } = rule
  const round = ROUND[rule.rounding]
  if (rule.kind === 'factor')
    return (sum, c) => round(f(f(sum) * (factors[Math.min(c, last)] as number)), 0) + zeroPoint
  return (sum, c) => round(sum * (factors[Math.min(c, last)] as number), 0) + zeroPoint
}

export const multiplyFixed = (x: number, factor: FixedFactor): number =>
  factor.ties === 'once' ? multiplyRoundingOnce(x, factor) : multiplyByQuantizedMultiplier(x, factor, factor.ties)
