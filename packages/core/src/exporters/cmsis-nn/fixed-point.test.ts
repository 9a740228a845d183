import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addScaling, fixedPoint, softmaxScaling } from './fixed-point.ts'

describe('fixedPoint', () => {
  // TensorFlow Lite's own test cases (quantization_util_test.cc).
  it.each([
    [0.125, 2 ** 30, -2],
    [0.25, 2 ** 30, -1],
    [0.5, 2 ** 30, 0],
    [1, 2 ** 30, 1],
    [2, 2 ** 30, 2],
    [0, 0, 0],
  ])('of %d is %d · 2^(%d − 31)', (factor, multiplier, shift) => {
    expect(fixedPoint(factor)).toEqual({ multiplier, shift })
  })

  it('keeps 31 bits, and carries into the shift where they round up', () => {
    expect(fixedPoint(1 - 2 ** -33)).toEqual({ multiplier: 2 ** 30, shift: 1 })
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e4, noNaN: true }), (factor) => {
        const { multiplier, shift } = fixedPoint(factor)
        expect(multiplier).toBeGreaterThanOrEqual(2 ** 30)
        expect(multiplier).toBeLessThan(2 ** 31)
        expect(Math.abs((multiplier * 2 ** (shift - 31)) / factor - 1)).toBeLessThanOrEqual(2 ** -31)
      }),
    )
  })
})

it('scales summands so that neither overflows', () => {
  const [a, b, y] = addScaling(0.5, 0.25, 1)
  expect([a, b]).toEqual([fixedPoint(0.5), fixedPoint(0.25)])
  expect(y).toEqual(fixedPoint(2 ** -20))
})

it('scales differences for Softmax', () => {
  // 0.1 · 2^26 = 6710886.4 = 0.8 · 2^23; the radius is 31 · 2^26 / 2^23 = 248.
  expect(softmaxScaling(0.1)).toEqual({ multiplier: Math.round(0.8 * 2 ** 31), shift: 23, diffMin: -248 })
})
