/** Doubles of this magnitude and more are whole. */
const WHOLE = 2 ** 52

/** Nearest integer, ties to even (IEEE 754 roundTiesToEven). NaN and infinities pass through; zero has no sign. */
export function roundHalfEven(x: number): number {
  // The sum has no bits for a fraction, so that the addition itself rounds, in the hardware's default mode.
  if (x >= 0) return x < WHOLE ? x + WHOLE - WHOLE : x
  return x > -WHOLE ? x - WHOLE + WHOLE : x
}
