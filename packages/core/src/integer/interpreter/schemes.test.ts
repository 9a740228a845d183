import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quantizeMultiplier } from '../../util/index.ts'
import type { Grid, Requantize, SumSite } from './scheme.ts'
import { SCHEMES, type SchemeName } from './schemes/index.ts'

const grid = (scale: number, zeroPoint = 0): Grid => ({ dtype: 'int8', scale, zeroPoint, min: -128, max: 127 })

const site = (scale: number, extra: Partial<SumSite> = {}): SumSite => ({
  opType: 'Conv',
  depthwise: false,
  channels: 16,
  input: grid(1),
  weightScales: [scale],
  ...extra,
})

/** What a scheme makes of sums, for a factor of `scale`. */
function requantize(name: SchemeName, scale: number, extra: Partial<SumSite> = {}): Requantize {
  const made = SCHEMES[name].sums(site(scale, extra), grid(1))
  if (typeof made === 'string') throw new Error(made)
  return made
}

describe('ties of sums', () => {
  // Sums of ±1, ±3 and ±5 times one half.
  const TIES = { ort: [0, 2, 2], fbgemm: [0, 2, 2], megengine: [1, 2, 3] } as const

  it.each(Object.entries(TIES))('%s', (name, want) => {
    const code = requantize(name as SchemeName, 0.5)
    expect([1, 3, 5].map((x) => code(x, 0))).toEqual(want)
    expect([-1, -3, -5].map((x) => code(x, 0) + 0)).toEqual(want.map((v) => -v + 0))
  })

  it.each([
    ['pot', [1, 2, 3, 0, -1, -2]],
    ['pot-half-even', [0, 2, 2, 0, -2, -2]],
    ['pot-half-away', [1, 2, 3, -1, -2, -3]],
    ['pot-floor', [0, 1, 2, -1, -2, -3]],
    // One rounding of 31 bits, halves up.
    ['tflite-single', [1, 2, 3, 0, -1, -2]],
  ] as const)('%s', (name, want) => {
    const code = requantize(name, 0.5)
    expect([1, 3, 5, -1, -3, -5].map((x) => code(x, 0) + 0)).toEqual(want)
  })

  it('the second rounding of fixed point: away from zero, or up by vector instructions', () => {
    const quarter = (name: SchemeName, extra?: Partial<SumSite>, channel = 0) =>
      [6, -6].map((x) => requantize(name, 0.25, extra)(x, channel))
    expect(quarter('cmsis')).toEqual([2, -2])
    expect(quarter('tflite')).toEqual([2, -1])
    // Of eleven channels of a depthwise convolution the last three are computed one by one.
    const depthwise = { depthwise: true, channels: 11 }
    expect(quarter('tflite', depthwise, 7)).toEqual([2, -1])
    expect(quarter('tflite', depthwise, 8)).toEqual([2, -2])
  })

  it('rounds twice where once gives another code', () => {
    // 2 · 0.1875 = 0.375, but 2 · 0.75 = 1.5 goes to 2, and 2 / 4 to 1.
    expect(requantize('cmsis', 0.1875)(2, 0)).toBe(1)
    expect(requantize('tflite-single', 0.1875)(2, 0)).toBe(0)
  })
})

describe('schemes that only shift', () => {
  it('refuse scales whose ratio is no power of two', () => {
    expect(SCHEMES.pot.sums(site(0.3), grid(1))).toMatch(/no power of two/)
    expect(SCHEMES.pot.sums(site(2 ** -7), grid(2 ** -3))).toBeTypeOf('function')
  })
})

describe('an Add of TensorFlow Lite', () => {
  it('stays within one of the real sum', () => {
    const scale = fc.double({ min: 0.01, max: 0.1, noNaN: true }).map(Math.fround)
    const code = fc.integer({ min: -128, max: 127 })
    fc.assert(
      fc.property(scale, scale, scale, code, code, (sa, sb, sy, x, y) => {
        const add = SCHEMES.tflite.add?.({ a: grid(sa, 3), b: grid(sb, -5), output: grid(sy, 7) }, 1)
        if (typeof add !== 'function') throw new Error('no Add')
        const real = ((x - 3) * sa + (y + 5) * sb) / sy + 7
        expect(Math.abs(add(x, y) - real)).toBeLessThanOrEqual(0.51)
      }),
    )
  })

  it('of equal scales is the sum of codes', () => {
    const multiplier = quantizeMultiplier(0.5)
    expect(multiplier.shift).toBe(0)
    const add = SCHEMES.tflite.add?.({ a: grid(0.1), b: grid(0.1), output: grid(0.1) }, 1)
    expect(typeof add === 'function' && add(17, -40)).toBe(-23)
  })
})
