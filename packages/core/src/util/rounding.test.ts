import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ROUND, type RoundingMode, roundHalfEven } from './rounding.ts'

describe('roundHalfEven', () => {
  it('rounds ties to even and everything else to the nearest', () => {
    expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5].map(roundHalfEven)).toEqual([-2, -2, 0, 0, 2, 2])
    expect([0.49999999999999994, 1.4999999, -3.7].map(roundHalfEven)).toEqual([0, 1, -4])
  })

  it('knows halves up to the last magnitude that has them', () => {
    const last = 2 ** 52
    expect([last - 0.5, last - 1.5, last + 1].map(roundHalfEven)).toEqual([last, last - 2, last + 1])
    expect([0.5 - last, 1.5 - last, -last - 1].map(roundHalfEven)).toEqual([-last, 2 - last, -last - 1])
    expect([Number.POSITIVE_INFINITY, Number.NaN].map(roundHalfEven)).toEqual([Number.POSITIVE_INFINITY, Number.NaN])
  })

  it('agrees with the definition', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => {
        const floor = Math.floor(x)
        const up = x - floor > 0.5 || (x - floor === 0.5 && floor % 2 !== 0)
        expect(roundHalfEven(x) + 0).toBe(floor + (up ? 1 : 0) + 0)
      }),
    )
  })
})

describe('ROUND', () => {
  // Ties as PPQ 0.6.6 rounds tensors, by its own names EVEN, UP, DOWN, TOWARDS_ZERO, FAR_FROM_ZERO.
  it.each<[RoundingMode, number[]]>([
    ['half-even', [-2, -2, 0, 0, 2, 2]],
    ['half-up', [-2, -1, 0, 1, 2, 3]],
    ['half-down', [-3, -2, -1, 0, 1, 2]],
    ['half-toward-zero', [-2, -1, 0, 0, 1, 2]],
    ['half-away', [-3, -2, -1, 1, 2, 3]],
    ['ceil', [-2, -1, 0, 1, 2, 3]],
    ['floor', [-3, -2, -1, 0, 1, 2]],
  ])('%s', (mode, expected) => {
    expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5].map((x) => ROUND[mode](x, 0) + 0)).toEqual(expected)
  })

  it('goes to the nearest where there is no tie, however near', () => {
    const half = [0.49999999999999994, 0.5000000000000001, -0.49999999999999994, -0.5000000000000001, 2 ** 52 + 1]
    for (const mode of ['half-up', 'half-down', 'half-away', 'half-toward-zero'] as const) {
      expect(half.map((x) => ROUND[mode](x, 0) + 0)).toEqual([0, 1, 0, -1, 2 ** 52 + 1])
    }
  })

  it('goes up as often as the fraction says, and never at whole numbers', () => {
    const u = Array.from({ length: 1000 }, (_, i) => i / 1000)
    const ups = (x: number) => u.filter((noise) => ROUND.stochastic(x, noise) > Math.floor(x)).length
    expect([2.25, -2.25, 3, -3].map(ups)).toEqual([250, 750, 0, 0])
    expect(ROUND.stochastic(Number.NEGATIVE_INFINITY, 0.5)).toBe(Number.NEGATIVE_INFINITY)
  })
})
