import { type QuantizedMultiplier, quantizeMultiplier } from '../../util/index.ts'

/** What Softmax's kernel wants to know of its input: 5 integer bits for differences. Differences below `diffMin` count as nothing. */
export function softmaxScaling(inputScale: number): QuantizedMultiplier & { readonly diffMin: number } {
  const factor = Math.min(inputScale * 2 ** 26, 2 ** 31 - 1)
  const { multiplier, shift } = quantizeMultiplier(factor)
  return { multiplier, shift, diffMin: -Math.floor((31 * 2 ** 26) / 2 ** shift) }
}

/** Scaling of two summands to a common grid of 20 more bits, and of their sum to the result. */
export function addScaling(
  a: number,
  b: number,
  y: number,
): readonly [QuantizedMultiplier, QuantizedMultiplier, QuantizedMultiplier] {
  const twice = 2 * Math.max(a, b)
  return [
    quantizeMultiplier(a / twice),
    quantizeMultiplier(b / twice),
    quantizeMultiplier(twice / (2 ** ADD_LEFT_SHIFT * y)),
  ]
}

export const ADD_LEFT_SHIFT = 20
