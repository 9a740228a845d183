import { binade } from '../util/index.ts'
import type { LogRounding } from './spec.ts'

/**
 * 2^R(log2 x), R rounding to the nearest, up or down: shifts take the place of multiplications (PPQ's POW2 policies, FPGA and NXP).
 * Exact: compares x with √2 times the power below it instead of taking a logarithm, and never meets a tie, √2 being irrational.
 * @param x positive and normal.
 */
export function powerOfTwo(x: number, rounding: LogRounding): number {
  const below = binade(x)
  if (rounding === 'ceil') return x > below ? 2 * below : below
  return rounding === 'round' && x >= Math.SQRT2 * below ? 2 * below : below
}
