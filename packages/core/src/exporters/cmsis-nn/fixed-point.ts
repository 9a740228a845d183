/** A positive real factor as kernels apply it: multiplier · 2^(shift − 31), the multiplier in [2^30, 2^31). */
export interface FixedPoint {
  readonly multiplier: number
  /** To the left where positive. */
  readonly shift: number
}

const Q31 = 2 ** 31

/** Halves away from zero, as the C library's `round`. */
export const roundAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)

/** TensorFlow Lite's QuantizeMultiplier: 31 bits of the factor and a power of two. Factors below 2^−32 become 0. */
export function fixedPoint(factor: number): FixedPoint {
  if (factor === 0) return { multiplier: 0, shift: 0 }
  let shift = Math.floor(Math.log2(factor)) + 1
  // log2 may be off by one beside powers of two.
  if (factor >= 2 ** shift) shift++
  else if (factor < 2 ** (shift - 1)) shift--
  let multiplier = roundAway((factor / 2 ** shift) * Q31)
  if (multiplier === Q31) {
    multiplier /= 2
    shift++
  }
  return shift < -31 ? { multiplier: 0, shift: 0 } : { multiplier, shift }
}

/** What Softmax's kernel wants to know of its input: 5 integer bits for differences. Differences below `diffMin` count as nothing. */
export function softmaxScaling(inputScale: number): FixedPoint & { readonly diffMin: number } {
  const factor = Math.min(inputScale * 2 ** 26, Q31 - 1)
  const { multiplier, shift } = fixedPoint(factor)
  return { multiplier, shift, diffMin: -Math.floor((31 * 2 ** 26) / 2 ** shift) }
}

/** Scaling of two summands to a common grid of 20 more bits, and of their sum to the result. */
export function addScaling(a: number, b: number, y: number): readonly [FixedPoint, FixedPoint, FixedPoint] {
  const twice = 2 * Math.max(a, b)
  return [fixedPoint(a / twice), fixedPoint(b / twice), fixedPoint(twice / (2 ** ADD_LEFT_SHIFT * y))]
}

export const ADD_LEFT_SHIFT = 20
