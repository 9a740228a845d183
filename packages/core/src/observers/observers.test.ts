import { gauss, heavyTailed, rectified } from '@fewbit/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { statsOf } from '../calibration/index.ts'
import { apotLevels, fakeQuantize, paramsFromRange, type QuantSpec, quantSpec, type Range } from '../quant/index.ts'
import { observe, observerOptions, percentile } from './index.ts'

const SETS = { gauss1: gauss(1), heavy3: heavyTailed(3), relu4: rectified(4) }
const STATS = Object.fromEntries(Object.entries(SETS).map(([name, x]) => [name, statsOf(x)]))

const symmetric = (bits: number) => quantSpec({ bits, signed: true, symmetric: true })
const affine = (bits: number) => quantSpec({ bits, signed: false, symmetric: false })
const SPECS = [2, 3, 4, 5, 6, 7, 8].flatMap((bits) => [
  symmetric(bits),
  affine(bits),
  quantSpec({ bits, signed: true, symmetric: true, narrow: true }),
  quantSpec({ bits, signed: true, symmetric: true, bothEnds: true }),
  quantSpec({ bits, signed: true, symmetric: false }),
  quantSpec({ bits, signed: false, symmetric: true }),
])

function squaredError(x: Float32Array, range: Range, spec: QuantSpec): number {
  const { scale, zeroPoint } = paramsFromRange(range, spec)
  const y = fakeQuantize(x, { spec, scale: [scale], zeroPoint: [zeroPoint] })
  return x.reduce((sum, v, i) => sum + (v - (y[i] as number)) ** 2, 0) / x.length
}

describe('the generator', () => {
  it('gives the published data', () => {
    expect([...SETS.gauss1.slice(0, 2)]).toEqual([-1.1055668592453003, -0.24472780525684357])
    expect(STATS.heavy3).toMatchObject({ min: -68.90914154052734, max: 62.56086349487305 })
    expect(STATS.relu4).toMatchObject({ min: 0, max: 4.6637678146362305 })
  })
})

describe('minmax', () => {
  // PPQ, MQBench and MegEngine agree on these; oracles in float32 or float64, hence 1e-6.
  it.each([
    ['gauss1', symmetric(8), 0.030359415337443352, 0],
    ['gauss1', affine(8), 0.030292898416519165, 127],
    ['gauss1', symmetric(4), 0.5161100625991821, 0],
    ['heavy3', symmetric(8), 0.5404638648033142, 0],
    ['heavy3', affine(8), 0.5155686140060425, 134],
    ['heavy3', symmetric(4), 9.187885284423828, 0],
    ['relu4', symmetric(8), 0.03657856956124306, 0],
    ['relu4', affine(8), 0.01828928478062153, 0],
    ['relu4', symmetric(4), 0.6218357086181641, 0],
  ])('gives the published scale of %s', (set, spec, scale, zeroPoint) => {
    const params = paramsFromRange(observe('minmax', STATS[set]!, spec), spec)
    expect(Math.abs(params.scale / scale - 1)).toBeLessThan(1e-6)
    expect(params.zeroPoint).toBe(zeroPoint)
  })
})

describe('percentile', () => {
  it.each(Object.keys(SETS))('finds the order statistics of %s to within a bin', (set) => {
    const sorted = SETS[set as keyof typeof SETS].toSorted()
    const stats = STATS[set]!
    for (const p of [99.99, 99.9, 99, 90]) {
      const cut = Math.floor(sorted.length * (1 - p / 100))
      const { lo, hi } = observe('percentile', stats, affine(8), { percentile: p })
      const { width } = stats.histogram!
      expect(Math.abs(hi - (sorted.at(-1 - cut) as number))).toBeLessThanOrEqual(width)
      expect(Math.abs(lo - Math.min(0, sorted[cut] as number))).toBeLessThanOrEqual(width)
    }
  })

  it('gives the published scales to within half a bin', () => {
    // PPQ takes the k-th value itself; ours lies in the same bin.
    for (const [set, scale] of [
      ['gauss1', 0.028383459895849228],
      ['heavy3', 0.3525996804237366],
    ] as const) {
      const spec = symmetric(8)
      const { width } = STATS[set]!.histogram!
      expect(
        Math.abs(paramsFromRange(observe('percentile', STATS[set]!, spec), spec).scale - scale) * 127.5,
      ).toBeLessThan(width)
    }
  })

  it('is min-max, and says so, where a tail holds less than one value', () => {
    const few = statsOf(gauss(1, 9000))
    const options = percentile.defaults
    expect(observe('percentile', few, affine(8))).toEqual({ lo: few.min, hi: few.max })
    expect(percentile.caution?.(few, affine(8), options)).toContain('minmax')
    expect(percentile.caution?.(STATS.gauss1!, affine(8), options)).toBeUndefined()
  })

  it('never leaves the true range', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, min: -9, max: 9 }), { minLength: 1 }), (values) => {
        const stats = statsOf(Float32Array.from(values))
        const { lo, hi } = observe('percentile', stats, affine(8), { percentile: 75 })
        expect(lo).toBeGreaterThanOrEqual(Math.min(0, stats.min))
        expect(hi).toBeLessThanOrEqual(Math.max(0, stats.max))
      }),
    )
  })

  it('refuses shares that are not percentages of at least half', () => {
    expect(() => observe('percentile', STATS.gauss1!, affine(8), { percentile: 0.9999 })).toThrow('OBSERVER_OPTION')
  })
})

describe('mse', () => {
  // The histogram has at least 16 bins to a step at 8 bits and the search a grid of 1.6 %: 1 % of the error is its tolerance.
  it.each(SPECS.map((spec) => [spec]))('is within 1 %% of a brute-force search on the raw data: %o', (spec) => {
    for (const [set, all] of Object.entries(SETS)) {
      const x = all.slice(0, 4096)
      const stats = statsOf(x)
      const whole = observe('minmax', stats, spec)
      let best = Number.POSITIVE_INFINITY
      for (let i = 1; i <= 60; i++) {
        best = Math.min(best, squaredError(x, { lo: (whole.lo * i) / 60, hi: (whole.hi * i) / 60 }, spec))
      }
      expect(squaredError(x, observe('mse', stats, spec), spec), set).toBeLessThan(best * 1.01)
    }
  })

  it.each([2, 3, 4, 5])('finds the scale of levels that are not evenly spaced, at %i bits', (bits) => {
    const specOf = (signed: boolean) =>
      quantSpec({ bits, signed, symmetric: true, format: { kind: 'levels', levels: apotLevels(bits, { signed }) } })
    for (const [set, all] of Object.entries(SETS)) {
      const x = all.slice(0, 4096)
      const spec = specOf(set !== 'relu4')
      const stats = statsOf(x)
      const whole = observe('minmax', stats, spec)
      const errors = Array.from({ length: 200 }, (_, i) => {
        const share = 0.97 ** i
        return squaredError(x, { lo: whole.lo * share, hi: whole.hi * share }, spec)
      })
      expect(squaredError(x, observe('mse', stats, spec), spec), set).toBeLessThan(Math.min(...errors) * 1.01)
    }
  })

  it('beats the published searches', () => {
    for (const [set, spec, scale] of [
      ['gauss1', symmetric(8), 0.02823425829410553],
      ['gauss1', symmetric(4), 0.3303104341030121],
      ['heavy3', symmetric(8), 0.4647989273071289],
      ['heavy3', symmetric(4), 3.583275318145752],
    ] as const) {
      const half = (scale * (spec.quantMax - spec.quantMin)) / 2
      const theirs = squaredError(SETS[set], { lo: -half, hi: half }, spec)
      expect(squaredError(SETS[set], observe('mse', STATS[set]!, spec), spec)).toBeLessThan(theirs * 1.002)
    }
  })
})

describe('entropy', () => {
  it('never does worse than twice the error of minmax on well-behaved data, from 2 to 8 bits', () => {
    for (const spec of SPECS) {
      for (const set of ['gauss1', 'relu4'] as const) {
        const error = squaredError(SETS[set], observe('entropy', STATS[set]!, spec), spec)
        expect(error).toBeLessThan(2 * squaredError(SETS[set], observe('minmax', STATS[set]!, spec), spec))
      }
    }
  })

  it('clips far outliers at low bit widths', () => {
    for (const bits of [2, 3, 4]) {
      const spec = symmetric(bits)
      expect(observe('entropy', STATS.heavy3!, spec).hi).toBeLessThan(0.5 * observe('minmax', STATS.heavy3!, spec).hi)
    }
  })

  it('does not depend on how many zeros there are', () => {
    const x = SETS.relu4.filter((v) => v > 0)
    const padded = Float32Array.from([...x, ...new Float32Array(x.length * 9)])
    expect(observe('entropy', statsOf(padded), affine(8))).toEqual(observe('entropy', statsOf(x), affine(8)))
  })
})

describe('observerOptions', () => {
  it('fills in defaults and refuses what the observer does not have', () => {
    expect(observerOptions('percentile')).toEqual({ percentile: 99.99 })
    expect(() => observerOptions('mse', { percentile: 99 })).toThrow('OBSERVER_OPTION')
    expect(() => observerOptions('percentile', { percentile: 'x' })).toThrow('OBSERVER_OPTION')
    expect(() => observerOptions('histogram')).toThrow('OBSERVER_UNKNOWN')
  })
})
