/**
 * How a real number becomes an integer. The `half-` modes round to the nearest and differ on ties only; `stochastic` rounds up with
 * the probability of the fraction.
 */
export type RoundingMode =
  | 'half-even'
  | 'half-away'
  | 'half-up'
  | 'half-down'
  | 'half-toward-zero'
  | 'ceil'
  | 'floor'
  | 'stochastic'

/** Doubles of this magnitude and more are whole. */
const WHOLE = 2 ** 52

/** Nearest integer, ties to even (IEEE 754 roundTiesToEven). NaN and infinities pass through; zero has no sign. */
export function roundHalfEven(x: number): number {
  // The sum has no bits for a fraction, so that the addition itself rounds, in the hardware's default mode.
  if (x >= 0) return x < WHOLE ? x + WHOLE - WHOLE : x
  return x > -WHOLE ? x - WHOLE + WHOLE : x
}
