/**
 * The fixed-point arithmetic of gemmlowp and TensorFlow Lite's kernels, on whole numbers in float64 and bigint.
 * Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, section 2.2;
 * `tensorflow/lite/kernels/internal/common.h`.
 */

/** multiplier · 2^(shift − 31), with multiplier in [2^30, 2^31) or 0. */
export interface QuantizedMultiplier {
  readonly multiplier: number
  /** Positive to the left. */
  readonly shift: number
}

const Q31 = 2 ** 31
const INT32_MAX = Q31 - 1

/** The nearest multiplier of 31 bits. @param real at least 0. */
export function quantizeMultiplier(real: number): QuantizedMultiplier {
  if (real === 0) return { multiplier: 0, shift: 0 }
  // Math.log2 may be one off near powers of two.
  let shift = Math.floor(Math.log2(real)) + 1
  if (real / 2 ** shift >= 1) shift++
  if (real / 2 ** shift < 0.5) shift--
  const multiplier = Math.round((real / 2 ** shift) * Q31)
  if (multiplier === Q31) return { multiplier: Q31 / 2, shift: shift + 1 }
  return shift < -31 ? { multiplier: 0, shift: 0 } : { multiplier, shift }
}

const Q15 = 2 ** 15
const Q16 = 2 ** 16

/**
 * The upper 32 bits of 2 · a · b, halves rounded up for positive products and toward zero for negative ones; −2^31 squared saturates.
 * Both say ⌊(a · b + 2^30) / 2^31⌋. The product takes 62 bits: b is cut in two, so that float64 holds each part.
 */
export function saturatingRoundingDoublingHighMul(a: number, b: number): number {
  if (a === -Q31 && b === -Q31) return INT32_MAX
  const high = Math.floor(b / Q15)
  const low = b - high * Q15
  return Math.floor((a * high + Math.floor((a * low + Q31 / 2) / Q15)) / Q16)
}

/** Where halves go: away from zero, as in scalar kernels, or up, as by vector instructions (Arm's SRSHL and what stands for it on x86). */
export type ShiftTies = 'away' | 'up'

/** x / 2^exponent, rounded. */
export function roundingDivideByPot(x: number, exponent: number, ties: ShiftTies = 'away'): number {
  const exact = x / 2 ** exponent
  return ties === 'up' ? Math.floor(exact + 0.5) : Math.sign(x) * Math.floor(Math.abs(exact) + 0.5)
}

/** x · multiplier · 2^(shift − 31), rounded twice: to 31 bits, then by the right shift. */
export function multiplyByQuantizedMultiplier(
  x: number,
  { multiplier, shift }: QuantizedMultiplier,
  ties: ShiftTies = 'away',
): number {
  const shifted = x * 2 ** Math.max(shift, 0)
  return roundingDivideByPot(saturatingRoundingDoublingHighMul(shifted, multiplier), Math.max(-shift, 0), ties)
}

/** The same rounded once, halves up: ruy's kernels, and TensorFlow Lite built with `TFLITE_SINGLE_ROUNDING`. */
export function multiplyRoundingOnce(x: number, { multiplier, shift }: QuantizedMultiplier): number {
  const total = 31 - shift
  if (total < 16) return Number((BigInt(x) * BigInt(multiplier) + (1n << BigInt(total - 1))) >> BigInt(total))
  const high = Math.floor(multiplier / Q15)
  const low = multiplier - high * Q15
  return Math.floor((x * high + Math.floor((x * low) / Q15) + 2 ** (total - 16)) / 2 ** (total - 15))
}

/** The upper 16 bits of a multiplier of 31, rounded. */
export const reducedMultiplier = (multiplier: number): number =>
  Math.min(2 ** 15 - 1, Math.floor((multiplier + Q15) / Q16))

/**
 * x · multiplier · 2^(shift − 31) for sums of 64 bits: by the upper 16 bits of the multiplier, rounded once, halves up.
 * @param x below 2^47.
 */
export function multiplyByReducedMultiplier(x: number, { multiplier, shift }: QuantizedMultiplier): number {
  const [reduced, total] = [reducedMultiplier(multiplier), 15 - shift]
  const product = x * reduced
  if (Math.abs(product) < 2 ** 52) return Math.floor((product + 2 ** (total - 1)) / 2 ** total)
  return Number((BigInt(x) * BigInt(reduced) + (1n << BigInt(total - 1))) >> BigInt(total))
}

/** A multiplier for sums of n elements that makes means of them: 2^k · multiplier / n cut off, with the greatest 2^k up to n. */
export function dividedBy({ multiplier, shift }: QuantizedMultiplier, n: number): QuantizedMultiplier {
  const k = Math.min(Math.floor(Math.log2(n)), 32, 31 + shift)
  return { multiplier: Number((BigInt(multiplier) << BigInt(k)) / BigInt(n)), shift: shift - k }
}
