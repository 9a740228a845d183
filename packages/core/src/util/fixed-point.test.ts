import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  dividedBy,
  multiplyByQuantizedMultiplier,
  multiplyByReducedMultiplier,
  multiplyRoundingOnce,
  quantizeMultiplier,
  reducedMultiplier,
  roundingDivideByPot,
  saturatingRoundingDoublingHighMul,
} from './fixed-point.ts'

describe('quantizeMultiplier', () => {
  // The cases of TensorFlow Lite's quantization_util_test.cc.
  it.each([
    [0.25, { multiplier: 2 ** 30, shift: -1 }],
    [0.5, { multiplier: 2 ** 30, shift: 0 }],
    [1, { multiplier: 2 ** 30, shift: 1 }],
    [4, { multiplier: 2 ** 30, shift: 3 }],
    [0.75, { multiplier: 3 * 2 ** 29, shift: 0 }],
    [0, { multiplier: 0, shift: 0 }],
    [2 ** -40, { multiplier: 0, shift: 0 }],
    // Rounds up to a power of two.
    [1 - 2 ** -40, { multiplier: 2 ** 30, shift: 1 }],
  ])('%d', (real, want) => {
    expect(quantizeMultiplier(real)).toEqual(want)
  })

  it('keeps 31 bits', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e4, noNaN: true }), (real) => {
        const { multiplier, shift } = quantizeMultiplier(real)
        expect(multiplier).toBeGreaterThanOrEqual(2 ** 30)
        expect(multiplier).toBeLessThan(2 ** 31)
        expect(Math.abs((multiplier * 2 ** (shift - 31)) / real - 1)).toBeLessThanOrEqual(2 ** -31)
      }),
    )
  })
})

describe('saturatingRoundingDoublingHighMul', () => {
  it.each([
    // 2 · a · b / 2^32, by hand.
    [1, 2 ** 30, 1], // 0.5 goes up
    [-1, 2 ** 30, 0], // −0.5 goes toward zero
    [-3, 2 ** 30, -1], // −1.5 goes toward zero
    [3, 2 ** 30, 2],
    [1000, 3 * 2 ** 29, 750],
    [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 2],
    [-(2 ** 31), -(2 ** 31), 2 ** 31 - 1],
  ])('%d · %d', (a, b, want) => {
    expect(saturatingRoundingDoublingHighMul(a, b) + 0).toBe(want)
  })
})

describe('roundingDivideByPot', () => {
  it.each([
    [5, 1, 3],
    [-5, 1, -3],
    [4, 3, 1],
    [-4, 3, -1],
    [3, 3, 0],
    [7, 0, 7],
  ])('%d / 2^%d', (x, exponent, want) => {
    expect(roundingDivideByPot(x, exponent) + 0).toBe(want)
  })
})

describe('dividedBy', () => {
  // Means of 325 codes of scale 0.06406… to scale 0.00742…, as LiteRT 2.3.0 gave them: the real means are 2.47, −36.492 and 8.4989.
  it.each([
    [93, 3],
    [-1374, -37],
    [320, 9],
    [-546, -15],
  ])('a sum of %d', (sum, want) => {
    const factor = dividedBy(quantizeMultiplier(0.06406336277723312 / 0.007421849761158228), 325)
    expect(factor.shift).toBe(-4)
    expect(multiplyByQuantizedMultiplier(sum, factor)).toBe(want)
  })
})

describe('multiplication by a quantized multiplier', () => {
  it('rounds twice, where once gives another code', () => {
    const factor = quantizeMultiplier(0.1875)
    expect(factor).toEqual({ multiplier: 3 * 2 ** 29, shift: -2 })
    // 2 · 0.75 = 1.5 goes to 2, and 2/4 away from zero to 1; 2 · 0.1875 = 0.375 is nearer to 0.
    expect([multiplyByQuantizedMultiplier(2, factor), multiplyRoundingOnce(2, factor)]).toEqual([1, 0])
  })

  it('takes ties away from zero, or up where it rounds once', () => {
    const half = quantizeMultiplier(0.5)
    expect([3, -3].map((x) => multiplyRoundingOnce(x, half))).toEqual([2, -1])
    const quarter = quantizeMultiplier(0.25)
    expect([-6, 6].map((x) => multiplyByQuantizedMultiplier(x, quarter))).toEqual([-2, 2])
    expect([-6, 6].map((x) => multiplyByQuantizedMultiplier(x, quarter, 'up'))).toEqual([-1, 2])
  })

  it('shifts to the left before it multiplies', () => {
    expect(multiplyByQuantizedMultiplier(-13, quantizeMultiplier(3))).toBe(-39)
  })

  it('stays within one of the real product', () => {
    for (let i = 1; i < 2000; i++) {
      const x = ((i * 7919) % 200001) - 100000
      const real = 0.00002 * i
      const got = multiplyByQuantizedMultiplier(x, quantizeMultiplier(real))
      expect(Math.abs(got - x * real)).toBeLessThanOrEqual(1)
    }
  })
})

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const q31 = fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 })

describe('fixed-point products without big integers', () => {
  // gemmlowp/fixedpoint/fixedpoint.h, SaturatingRoundingDoublingHighMul, in integers of any size.
  it('the high half of a doubled product', () => {
    fc.assert(
      fc.property(int32, q31, (a, b) => {
        const product = BigInt(a) * BigInt(b)
        const nudge = product >= 0n ? 1n << 30n : 1n - (1n << 30n)
        expect(saturatingRoundingDoublingHighMul(a, b) + 0).toBe(Number((product + nudge) / (1n << 31n)) + 0)
      }),
      { numRuns: 3000 },
    )
  })

  it('a product rounded once', () => {
    fc.assert(
      fc.property(int32, q31, fc.integer({ min: -30, max: 20 }), (x, multiplier, shift) => {
        const total = BigInt(31 - shift)
        const want = Number((BigInt(x) * BigInt(multiplier) + (1n << (total - 1n))) >> total)
        expect(multiplyRoundingOnce(x, { multiplier, shift }) + 0).toBe(want + 0)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('sums of 64 bits', () => {
  /** `MultiplyByQuantizedMultiplier(int64_t x, …)` of TensorFlow Lite's common.h, in bigint. */
  function reference(x: bigint, multiplier: bigint, shift: number): bigint {
    const reduced = multiplier < 0x7fff0000n ? (multiplier + (1n << 15n)) >> 16n : 0x7fffn
    const total = BigInt(15 - shift)
    return (x * reduced + (1n << (total - 1n))) >> total
  }

  it('by 16 bits of the multiplier', () => {
    const sum = fc.bigInt({ min: -(1n << 46n), max: 1n << 46n })
    const multiplier = fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(sum, multiplier, fc.integer({ min: -31, max: 7 }), (x, m, shift) => {
        const want = Number(reference(x, BigInt(m), shift))
        expect(multiplyByReducedMultiplier(Number(x), { multiplier: m, shift })).toBe(want)
      }),
    )
    // Just below 1 the upper bits do not round up to 2^15.
    expect(reducedMultiplier(2 ** 31 - 1)).toBe(2 ** 15 - 1)
  })
})
