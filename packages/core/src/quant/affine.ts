import { problem, roundHalfEven } from '../util/index.ts'
import { formatScale } from './formats/index.ts'
import { powerOfTwo } from './power-of-two.ts'
import type { QuantSpec, Range } from './spec.ts'

/** Scale and zero point of one tensor, channel or group. */
export interface ScaleZero {
  /** A float32 number, normal and positive. */
  readonly scale: number
  readonly zeroPoint: number
}

/**
 * Smallest scale handed out: 2^-63. The product of two such scales, which is the scale of a bias, is still a normal float32;
 * kernels flush smaller ones to zero.
 */
export const MIN_SCALE = 2 ** -63

/** The range widened to hold zero, which must be exact: padding, ReLU and zero bias rely on it. */
export const withZero = (range: Range): Range => ({ lo: Math.min(range.lo, 0), hi: Math.max(range.hi, 0) })

/**
 * Scale and zero point that cover a range, zero exact.
 *
 * Affine: scale = (hi − lo) / (qmax − qmin), zeroPoint = clip(qmin − rne(lo / scale)).
 * Symmetric: scale = max(−lo, hi) / ((qmax − qmin) / 2), zero point in the middle: max/127.5 for −128…127, max/127 for
 * −127…127. Every value of the range then lies within half a step of a code, and no smaller scale has that property.
 * With `bothEnds`: scale = max(lo / qmin, hi / qmax), the smallest at which no value lies beyond the outermost codes. Symmetric, unsigned and lo ≥ 0: scale = hi / (qmax − qmin), zero point qmin.
 *
 * Of a format other than integers: the scale that brings the largest magnitude to the format's largest number, zero point 0.
 *
 * The scale is rounded to a power of two where the spec says so, else to float32, before the zero point is computed, as the kernels
 * will see it. An empty range gets scale 1.
 * @throws FewbitError QUANT_RANGE if an end is not finite or lo > hi.
 */
export function paramsFromRange(range: Range, spec: QuantSpec): ScaleZero {
  if (!Number.isFinite(range.lo) || !Number.isFinite(range.hi) || range.lo > range.hi) {
    throw problem('QUANT_RANGE', `[${range.lo}, ${range.hi}] is not a range that can be quantized`)
  }
  const { lo, hi } = withZero(range)
  const { quantMin, quantMax, symmetric, format } = spec
  if (format) return { scale: storedScale(formatScale({ lo, hi }, format, spec), spec), zeroPoint: 0 }
  const levels = quantMax - quantMin
  if (!symmetric) {
    const scale = storedScale((hi - lo) / levels, spec)
    return { scale, zeroPoint: clip(quantMin - roundHalfEven(lo / scale), quantMin, quantMax) }
  }
  if (!spec.signed && lo === 0) return { scale: storedScale(hi / levels, spec), zeroPoint: quantMin }
  const { below, above } = stepsAboutZero(spec)
  return { scale: storedScale(Math.max(-lo / below, hi / above), spec), zeroPoint: symmetricZero(spec) }
}

/** How many steps a symmetric range reaches below zero and above it. */
export function stepsAboutZero({ bothEnds, quantMin, quantMax }: QuantSpec): { below: number; above: number } {
  const half = (quantMax - quantMin) / 2
  return bothEnds ? { below: -quantMin, above: quantMax } : { below: half, above: half }
}

/** 0 for signed codes, the upper middle (128 of 0…255) for unsigned ones. */
export const symmetricZero = (spec: Pick<QuantSpec, 'signed' | 'quantMin' | 'quantMax'>): number =>
  spec.signed ? 0 : Math.ceil((spec.quantMin + spec.quantMax) / 2)

/** The interval between the lowest and the highest code. */
export function coveredRange({ scale, zeroPoint }: ScaleZero, spec: QuantSpec): Range {
  return { lo: (spec.quantMin - zeroPoint) * scale, hi: (spec.quantMax - zeroPoint) * scale }
}

function storedScale(exact: number, spec: QuantSpec): number {
  if (exact === 0) return 1
  const scale = Math.max(exact, MIN_SCALE)
  return spec.powerOfTwo ? powerOfTwo(scale, spec.powerOfTwo) : Math.fround(scale)
}

const clip = (x: number, lo: number, hi: number): number => Math.min(Math.max(x, lo), hi)
