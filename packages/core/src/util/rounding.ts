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

// Doubling, halving, Floor and Ceil are exact, so that these need no case for 0.49999999999999994 or for large odd numbers.
const halfUp = (x: number): number => Math.ceil(Math.floor(2 * x) / 2)
const halfDown = (x: number): number => Math.floor(Math.ceil(2 * x) / 2)

/** Nearest integer, ties away from zero, as the C library's `round`. NaN and infinities pass through. */
export const roundHalfAway = (x: number): number => (x < 0 ? halfDown(x) : halfUp(x))

/**
 * Rounding by mode. `u`, uniform in [0, 1), is read by `stochastic` only, which goes up where u < fround(x − ⌊x⌋): the fraction is
 * rounded to float32, as an engine computes it. NaN and infinities pass through.
 */
export const ROUND: Readonly<Record<RoundingMode, (x: number, u: number) => number>> = {
  'half-even': roundHalfEven,
  'half-away': roundHalfAway,
  'half-up': halfUp,
  'half-down': halfDown,
  'half-toward-zero': (x) => (x < 0 ? halfUp(x) : halfDown(x)),
  ceil: Math.ceil,
  floor: Math.floor,
  stochastic: (x, u) => Math.floor(x) + (u < Math.fround(x - Math.floor(x)) ? 1 : 0),
}
