import {
  type QuantizedMultiplier,
  quantizeMultiplier,
  reducedMultiplier,
  roundingDivideByPot,
} from '../../../util/index.ts'
import type { UnarySite } from '../scheme.ts'

const f = Math.fround
const clamp16 = (x: number): number => Math.max(-32768, Math.min(32767, x))

/** 2 · a · b / 2^16, rounded, and cut off. */
const roundedProduct = (a: number, b: number): number => Math.floor((a * b + 2 ** 14) / 2 ** 15)
const cutProduct = (a: number, b: number): number => clamp16(Math.trunc((a * b) / 2 ** 15))

const factorOf = (real: number): QuantizedMultiplier => {
  const { multiplier, shift } = quantizeMultiplier(real)
  return { multiplier: reducedMultiplier(multiplier), shift }
}

/**
 * HardSwish on 16-bit fixed point: the code on 128 times finer steps, times what is left of (x + 3) / 6 between 0 and 1
 * (`tensorflow/lite/kernels/internal/reference/reference_ops.h`, HardSwish).
 * @returns undefined for results on finer steps than the kernel takes.
 */
export function hardSwish({
  input,
  output,
}: Pick<UnarySite, 'input' | 'output'>): ((code: number) => number) | undefined {
  const step = f(f(1 / 128) * input.scale)
  const outer = factorOf(f(step / output.scale))
  const inner = factorOf(f(step / f(3 / 32768)))
  if (outer.shift > 0) return undefined
  return (code) => {
    const fine = (code - input.zeroPoint) * 128
    const part = (gateOf(fine, inner) + 2 ** 15) >> 1
    const product = cutProduct(part, roundedProduct(fine, outer.multiplier))
    return roundingDivideByPot(product, -outer.shift) + output.zeroPoint
  }
}

/** x / 3 in steps of 2^-15, between −1 and 1. */
function gateOf(fine: number, { multiplier, shift }: QuantizedMultiplier): number {
  if (shift <= 0) return roundingDivideByPot(roundedProduct(fine, multiplier), -shift)
  return clamp16(2 * roundedProduct(clamp16(fine * 2 ** (shift - 1)), multiplier))
}
