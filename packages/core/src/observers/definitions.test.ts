import { gauss, heavyTailed, rectified } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { statsOf, statsOfBatches, type TensorStats } from '../calibration/index.ts'
import {
  dataRanges,
  fakeQuantize,
  paramsFromRange,
  paramsFromRanges,
  perChannel,
  perGroup,
  perTensor,
  type QuantSpec,
  quantSpec,
  type Range,
} from '../quant/index.ts'
import { OBSERVERS, type Observer, type ObserverName, observe, observeConstant } from './index.ts'

// Observers against the formulas of their papers, worked out another way.

const symmetric = (bits: number) => quantSpec({ bits, signed: true, symmetric: true })
const affine = (bits: number) => quantSpec({ bits, signed: false, symmetric: false })

const choose = (name: ObserverName, x: Float32Array, spec: QuantSpec, options = {}): Range =>
  observe(name, statsOf(x, OBSERVERS[name].wants), spec, options)

function squaredError(x: Float32Array, range: Range, spec: QuantSpec): number {
  const { scale, zeroPoint } = paramsFromRange(range, spec)
  const y = fakeQuantize(x, { spec, scale: [scale], zeroPoint: [zeroPoint] })
  return x.reduce((sum, v, i) => sum + (v - (y[i] as number)) ** 2, 0) / x.length
}

/** Two sides of an exponential distribution at evenly spread quantiles, which has mean magnitude 1. */
const laplace = Float32Array.from({ length: 65536 }, (_, i) => {
  const u = (Math.floor(i / 2) + 0.5) / 32768
  return i % 2 ? -Math.log(1 - u) : Math.log(1 - u)
})

describe('aciq', () => {
  // Banner et al., NeurIPS 2019: the table of their code, for a width of 1. Two decimals are all that it gives.
  it.each([
    [2, 1.71, 2.83],
    [3, 2.15, 3.89],
    [4, 2.55, 5.03],
    [5, 2.93, 6.2],
    [6, 3.28, 7.41],
    [7, 3.61, 8.64],
    [8, 3.92, 9.89],
  ])('clips at the published thresholds at %i bits', (bits, ofGauss, ofLaplace) => {
    const wide = { count: 1000, min: -100, max: 100 }
    const moments = { sum: 0, sumOfMagnitudes: 1000, sumOfSquares: 999 }
    const { hi } = observe('aciq-gauss', { ...wide, moments }, symmetric(bits))
    expect(Math.abs(hi - ofGauss)).toBeLessThan(0.01)
    const histogram = { width: 2, first: -1, counts: Float64Array.of(500, 500) }
    const { hi: other } = observe('aciq-laplace', { ...wide, moments, histogram }, symmetric(bits))
    expect(Math.abs(other - ofLaplace)).toBeLessThan(0.01)
  })

  // The formula counts 2^b cells where the grid has 2^b − 1 steps, and the data end at 4 or 11: 5 % is between the two.
  it('comes near the least error on data of its distribution', () => {
    for (const [name, x] of [
      ['aciq-gauss', gauss(1)],
      ['aciq-laplace', laplace],
      ['aciq-gauss', rectified(4)],
    ] as const) {
      const spec = affine(4)
      const best = squaredError(x, choose('mse', x, spec), spec)
      expect(squaredError(x, choose(name, x, spec), spec)).toBeLessThan(1.05 * best)
    }
  })
})

describe('octav', () => {
  it('clips within a few percent of the least error, from 2 to 8 bits', () => {
    for (const x of [gauss(1), heavyTailed(3), laplace, rectified(4)]) {
      for (const bits of [3, 4, 6, 8]) {
        const spec = symmetric(bits)
        const range = choose('octav', x, spec)
        const least = squaredError(x, choose('mse', x, spec), spec)
        // Symmetric codes reach half a step less on the positive side, and one-sided data leave half of them unused.
        if (x[0] !== 0) expect(squaredError(x, range, spec)).toBeLessThan(1.1 * least)
      }
    }
  })

  it('is the fixed point of its iteration', () => {
    const x = laplace
    const { hi } = choose('octav', x, symmetric(4))
    let [sum, beyond, inside] = [0, 0, 0]
    for (const v of x.map(Math.abs)) {
      if (v > hi) [sum, beyond] = [sum + v, beyond + 1]
      else inside++
    }
    expect(sum / (inside / (3 * 4 ** 4) + beyond) / hi).toBeCloseTo(1, 2)
  })
})

describe('least-squares', () => {
  it('ends where codes and scale are the best for each other', () => {
    const spec = symmetric(4)
    const x = gauss(1, 8192)
    const { scale } = paramsFromRange(choose('least-squares', x, spec, { steps: 400 }), spec)
    let [product, square] = [0, 0]
    for (const v of x) {
      const q = Math.min(Math.max(Math.round(v / scale), -8), 7)
      product += v * q
      square += q * q
    }
    expect(product / square / scale).toBeCloseTo(1, 3)
  })

  it('finds a grid that the data are on', () => {
    const x = Float32Array.from({ length: 256 }, (_, i) => 0.375 * ((i % 15) - 7))
    expect(paramsFromRange(choose('least-squares', x, symmetric(4)), symmetric(4)).scale).toBeCloseTo(0.375, 3)
  })
})

describe('cosine', () => {
  it('takes the point of its grid with the largest mean cosine', () => {
    const batches = [gauss(1, 2048), heavyTailed(3, 2048)]
    const spec = symmetric(4)
    const whole = paramsFromRange(observe('minmax', statsOfBatches(batches, []), spec), spec).scale
    const cosineAt = (scale: number): number =>
      batches.reduce((sum, x) => {
        const y = fakeQuantize(x, { spec, scale: [scale], zeroPoint: [0] })
        const dot = (a: Float32Array, b: Float32Array) => a.reduce((s, v, i) => s + v * (b[i] as number), 0)
        return sum + dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
      }, 0)
    const scales = Array.from({ length: 40 }, (_, i) => whole * (0.8 + (0.4 * i) / 39))
    const expected = scales.reduce((a, b) => (cosineAt(b) > cosineAt(a) ? b : a))
    const options = { from: 0.8, to: 1.2, points: 40 }
    const range = observe('cosine', statsOfBatches(batches, ['series']), spec, options)
    expect(paramsFromRange(range, spec).scale / expected).toBeCloseTo(1, 6)
  })
})

describe('isotone', () => {
  const rows = (...pairs: [number, number][]): TensorStats => ({
    count: 100,
    min: 0,
    max: Math.max(...pairs.map(([a]) => a)),
    margins: Float64Array.from(pairs.flat()),
  })
  const codes = ({ lo, hi }: Range, spec: QuantSpec, [a, b]: [number, number]): [number, number] => {
    const { scale, zeroPoint } = paramsFromRange({ lo, hi }, spec)
    const y = fakeQuantize([a, b], { spec, scale: [scale], zeroPoint: [zeroPoint] })
    return [y[0] as number, y[1] as number]
  }

  it('gives up the top of the range to tell close scores apart', () => {
    // At 4 bits min-max has a step of 20/15: 1.2 and 1.6 both become one step. One row pays for two.
    const pairs: [number, number][] = [
      [20, 1],
      [1.6, 1.2],
      [2.4, 2],
    ]
    const spec = affine(4)
    const kept = (range: Range) => pairs.filter((p) => codes(range, spec, p)[0] > codes(range, spec, p)[1]).length
    const stats = rows(...pairs)
    expect(kept(observe('minmax', stats, spec))).toBe(1)
    expect(kept(observe('isotone', stats, spec))).toBe(3)
  })

  it('is min-max where that keeps every order, and where there are no classes', () => {
    const stats = rows([10, 2], [8, 1])
    const spec = affine(8)
    expect(paramsFromRange(observe('isotone', stats, spec), spec)).toEqual(
      paramsFromRange(observe('minmax', stats, spec), spec),
    )
    const { margins: _, ...none } = stats
    expect(observe('isotone', none, spec)).toEqual({ lo: 0, hi: 10 })
    expect(OBSERVERS.isotone.caution?.(none, spec, {})).toContain('minmax')
  })
})

describe('observers of a series', () => {
  const batches = [Float32Array.of(-1, 4), Float32Array.of(-3, 2), Float32Array.of(-2, 9)]
  const stats = statsOfBatches(batches, ['series'])

  it('average as their names say', () => {
    expect(observe('batch-mean', stats, affine(8))).toEqual({ lo: -2, hi: 5 })
    // 4, then 0.9 · 4 + 0.1 · 2 = 3.8, then 0.9 · 3.8 + 0.1 · 9.
    expect(observe('ema-minmax', stats, affine(8)).hi).toBeCloseTo(4.32, 12)
    expect(observe('ema-minmax', stats, affine(8), { momentum: 0 }).hi).toBe(9)
  })

  it('depend on the order', () => {
    const other = statsOfBatches(batches.toReversed(), ['series'])
    expect(observe('ema-minmax', other, affine(8))).not.toEqual(observe('ema-minmax', stats, affine(8)))
  })

  it('vote for the scale of most samples', () => {
    // Two samples fit a step of 1/32 (up to 3.97), one needs 1/8.
    const votes = [3.9, 3.8, 15].map((most) => Float32Array.from({ length: 64 }, (_, i) => (most * i) / 63))
    const spec = symmetric(8)
    const range = observe('pot-mode', statsOfBatches(votes, ['series']), spec, { tries: 1 })
    expect(paramsFromRange(range, spec).scale).toBe(1 / 32)
  })
})

describe('scales', () => {
  it('of lsq-plus reach three standard deviations', () => {
    const x = gauss(1)
    const spec = symmetric(4)
    const { scale } = paramsFromRange(choose('lsq-plus', x, spec), spec)
    // Mean and deviation as published with the data.
    expect(scale / ((0.00207644346 + 3 * 1.0091994933876078) / 8)).toBeCloseTo(1, 6)
  })

  it('that are powers of two stay so on every grid', () => {
    for (const name of ['pot-search', 'pot-mode'] as const) {
      for (const bits of [2, 4, 8, 16]) {
        for (const spec of [symmetric(bits), affine(bits), quantSpec({ bits, signed: false, symmetric: true })]) {
          const { scale } = paramsFromRange(choose(name, gauss(1, 1024), spec), spec)
          expect(Number.isInteger(Math.log2(scale)), `${name} ${bits}`).toBe(true)
        }
      }
    }
  })

  it('that are given are taken', () => {
    const spec = affine(8)
    const params = (options: object) => paramsFromRange(choose('constant', gauss(1, 16), spec, options), spec)
    expect(params({ scale: 0.25, zeroPoint: 7 })).toEqual({ scale: 0.25, zeroPoint: 7 })
    expect(() => params({ scale: 0 })).toThrow('OBSERVER_OPTION')
    expect(() => params({ zeroPoint: 300 })).toThrow('OBSERVER_OPTION')
  })
})

describe('observeConstant', () => {
  const dims = [4, 3, 5]
  const values = heavyTailed(3, 60)
  const spec = (granularity: QuantSpec['granularity']) => ({ ...symmetric(4), granularity })

  it('is minimum and maximum for minmax, along any cut', () => {
    for (const granularity of [perTensor(), perChannel(0), perChannel(2), perGroup(2, 1)]) {
      const own = spec(granularity)
      const expected = paramsFromRanges(dataRanges(values, dims, granularity), own)
      expect(observeConstant(OBSERVERS.minmax, values, dims, own)).toEqual(expected)
    }
  })

  it('asks the observer for each channel by itself', () => {
    const own = spec(perChannel(1))
    const { scale } = observeConstant(OBSERVERS['least-squares'], values, dims, own)
    for (let c = 0; c < 3; c++) {
      const channel = values.filter((_, i) => Math.floor(i / 5) % 3 === c)
      expect(scale[c]).toBe(paramsFromRange(choose('least-squares', channel, symmetric(4)), symmetric(4)).scale)
    }
  })

  it('works with every observer', () => {
    for (const observer of Object.values<Observer<object>>(OBSERVERS)) {
      const { scale } = observeConstant(observer, values, dims, spec(perChannel(0)))
      expect(
        scale.every((s) => s > 0 && Number.isFinite(s)),
        observer.name,
      ).toBe(true)
    }
  })
})
