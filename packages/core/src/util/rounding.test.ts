import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { roundHalfEven } from './rounding.ts'

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
