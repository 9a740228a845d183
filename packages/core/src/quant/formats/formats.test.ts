import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rng } from '../../util/index.ts'
import { encodeMinifloats } from '../../util/minifloat.ts'
import {
  apotLevels,
  codebookParams,
  dequantize,
  fakeQuantize,
  kmeansLevels,
  paramsFromData,
  paramsFromRange,
  perChannel,
  perGroup,
  perTensor,
  type QuantParams,
  quantize,
  quantSpec,
  storageDType,
} from '../index.ts'
import { gridOf } from './index.ts'

const bits = { float8e4m3fn: 8, float8e5m2: 8, float4e2m1: 4 } as const
type Minifloat = keyof typeof bits
const minifloats = Object.keys(bits) as Minifloat[]
const minifloat = (kind: Minifloat, granularity = perTensor(), powerOfTwo?: 'floor' | 'ceil') =>
  quantSpec(
    { bits: bits[kind], signed: true, symmetric: true, format: { kind }, ...(powerOfTwo && { powerOfTwo }) },
    granularity,
  )
const one = (spec: QuantParams['spec'], scale = 1): QuantParams => ({ spec, scale: [scale], zeroPoint: [0] })

describe('floating-point formats', () => {
  it.each(minifloats)('%s: rounds as the encoder does that counts units in the last place', (kind) => {
    const { levels } = gridOf({ kind }, 1)
    // Every level, every midpoint, and the float32 neighbours of both.
    const near = (x: number) => [x, Math.fround(x * (1 + 2 ** -22)), Math.fround(x * (1 - 2 ** -22))]
    const points = Array.from(levels).flatMap((x, i) => [...near(x), ...near((x + (levels[i + 1] ?? x)) / 2)])
    const x = Float32Array.from([...points, Infinity, -Infinity, 3e38, -3e38, 1e-45])
    // Zero has no sign here, and the encoder keeps it.
    const expected = encodeMinifloats(kind, x).map((p) => (p === 1 << (bits[kind] - 1) ? 0 : p))
    expect(quantize(x, one(minifloat(kind)))).toEqual(expected)
  })

  it('has the numbers of the specification', () => {
    const e4m3 = gridOf({ kind: 'float8e4m3fn' }, 1).levels
    expect([e4m3.length, e4m3.at(-1), e4m3[127]]).toEqual([253, 448, 2 ** -9])
    const e5m2 = gridOf({ kind: 'float8e5m2' }, 1).levels
    expect([e5m2.length, e5m2.at(-1), e5m2[124]]).toEqual([247, 57344, 2 ** -16])
    const positive = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    const e2m1 = gridOf({ kind: 'float4e2m1' }, 1).levels
    expect(Array.from(e2m1)).toEqual([
      ...positive
        .slice(1)
        .map((x) => -x)
        .reverse(),
      ...positive,
    ])
  })

  it('maps the largest magnitude to the largest number', () => {
    const scaleOf = (kind: Minifloat) => paramsFromRange({ lo: -3, hi: 2 }, minifloat(kind)).scale
    expect(minifloats.map(scaleOf)).toEqual([3 / 448, 3 / 57344, 0.5].map(Math.fround))
    expect(minifloats.map((kind) => storageDType(minifloat(kind)))).toEqual(minifloats)
  })

  it('shares a power of two in each block of 32, as OCP MX 1.0 defines it', () => {
    const spec = minifloat('float4e2m1', perGroup(32, 1), 'floor')
    const x = Float32Array.from({ length: 128 }, (_, i) => (i % 32) * [0.1, 1, 7.9 / 31, 0][i >> 5]!)
    const params = paramsFromData(x, [2, 64], spec)
    // ⌊log2 3.1⌋ − 2, ⌊log2 31⌋ − 2, ⌊log2 7.9⌋ − 2; the block of zeros takes its largest neighbour.
    expect(params.scale).toEqual([2 ** -1, 4, 1, 4])
    // 7.9 saturates at 6, which is what the formula gives up for a scale of no mantissa.
    expect(fakeQuantize(x, params, [2, 64])[95]).toBe(6)
    expect(paramsFromRange({ lo: 0, hi: 7.9 }, minifloat('float4e2m1', perTensor(), 'ceil')).scale).toBe(2)
  })
})

describe('log2', () => {
  const spec = quantSpec({ bits: 8, signed: true, symmetric: true, format: { kind: 'log2' } })
  const params = one(spec, paramsFromRange({ lo: -2.6, hi: 3.7 }, spec).scale)

  it("gives the published values of MQBench's NNIE quantizer", () => {
    const x = [-2.6, -1.25, -1, -0.75, -0.3, -0.25, -0.1, 0, 0.1, 0.25, 0.3, 0.75, 0.9, 1.25, 1.6, 3.7].map(Math.fround)
    const negative = [-2.5936792, -1.2418578, -1, -0.7384131, -0.2973018, -0.25, -0.1006556]
    const positive = [0, 0.1006556, 0.25, 0.2973018, 0.7384131, 0.917004, 1.2418578, 1.6104903, 3.6680162]
    const y = Array.from(fakeQuantize(x, params))
    expect(y).toEqual([...negative, ...positive].map((e) => expect.closeTo(e, 6)))
  })

  it('follows the formula in double precision away from the midpoints', () => {
    const z = Math.round(16 * Math.log2(3.7)) - 127
    expect(z).toBe(-97)
    const formula = (x: number): number => {
      const step = (least: number) => Math.min(Math.max(Math.round(16 * Math.log2(Math.abs(x)) - z), least), 127) + z
      if (x > 2 ** ((z - 16) / 16)) return 2 ** (step(0) / 16)
      return x < -(2 ** ((z + 1 - 16) / 16)) ? -(2 ** (step(1) / 16)) : 0
    }
    const r = rng(5)
    const x = Float32Array.from({ length: 20000 }, () => (r.next() - 0.5) * 2 ** (r.int(16) - 11))
    expect(fakeQuantize(x, params)).toEqual(Float32Array.from(x, formula))
  })

  it('has zero up to its two bounds, inclusively', () => {
    const above = 1 + 2 ** -23
    // z = −112, so that the positive bound 2^((z − 16) / 16) is 2^-8.
    const round = one(spec, paramsFromRange({ lo: 0, hi: 2 ** (15 / 16) }, spec).scale)
    expect(Array.from(fakeQuantize([2 ** -8, 2 ** -8 * above], round))).toEqual([0, 2 ** -7])
    // z = −97, so that the negative bound −2^((z − 15) / 16) is −2^-7.
    expect(Array.from(quantize([-(2 ** -7), -(2 ** -7) * above], params))).toEqual([128, 129])
  })

  it('stores the exponent, a sign, and zero as the pattern that negative numbers leave', () => {
    const top = 2 ** (30 / 16)
    expect(Array.from(quantize([top, -top, 0, 1e9, -1e9, top / 2, 1e-9], params))).toEqual([
      127, 255, 128, 127, 255, 111, 128,
    ])
    const codes = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(quantize(dequantize(codes, params), params)).toEqual(codes)
  })
})

describe('levels', () => {
  it('are sums of powers of two in APoT', () => {
    const unsigned = (n: number) => apotLevels(n, { signed: false })
    // {0, 1/2, 1/4, 1/8} and {0, 1/2, 1/8, 1/32} + {0, 1/4, 1/16, 1/64}, over their largest.
    expect(unsigned(2)).toEqual([0, 1 / 4, 1 / 2, 1])
    const sums = [0, 1 / 2, 1 / 8, 1 / 32].flatMap((a) => [0, 1 / 4, 1 / 16, 1 / 64].map((b) => (a + b) / 0.75))
    expect(unsigned(4)).toEqual(sums.sort((a, b) => a - b))
    // Three bits and the sign: {0, 1/2, 1/4, 1/16} + {0, 1/8}.
    const three = [0, 1 / 2, 1 / 4, 1 / 16].flatMap((a) => [a / 0.625, (a + 1 / 8) / 0.625]).sort((a, b) => a - b)
    const four = apotLevels(4, { signed: true })
    expect(four.slice(7)).toEqual(three)
    expect(four).toEqual(four.map((level) => -level + 0).reverse())
    for (const n of [2, 3, 4, 5, 6, 7, 8]) expect(unsigned(n)).toHaveLength(2 ** n)
  })

  it('round to the nearest, ties up', () => {
    const format = { kind: 'levels', levels: [-1, 0.25, 0.5, 1] } as const
    const params = one(quantSpec({ bits: 2, signed: true, symmetric: true, format }), 2)
    const x = [-9, -0.76, -0.75, 0.74, 0.75, 1.49, 1.5, 9].map(Math.fround)
    expect(Array.from(fakeQuantize(x, params))).toEqual([-2, -2, 0.5, 0.5, 1, 1, 2, 2])
    expect(Array.from(quantize(x, params))).toEqual([0, 0, 1, 1, 2, 2, 3, 3])
  })

  it.each([[[1, 1]], [[0]], [[1, 0]], [[0, Number.NaN]], [[0, 1e39]]])('refuse %j', (levels) => {
    const rule = { bits: 2, signed: true, symmetric: true, format: { kind: 'levels', levels } } as const
    expect(() => quantSpec(rule)).toThrow('QUANT_LEVELS')
  })

  it('of one signed bit are the sign times the mean magnitude', () => {
    const spec = quantSpec({ bits: 1, signed: true, symmetric: true }, perChannel(0))
    const params = paramsFromData([1, -2, 0, 3, -3, 0, 0, 0], [2, 4], spec)
    expect(params.scale).toEqual([1.5, 0.75])
    const y = fakeQuantize([1, -2, 0, 3, -3, 0, 0, 0], params, [2, 4])
    expect(Array.from(y)).toEqual([1.5, -1.5, 1.5, 1.5, -0.75, 0.75, 0.75, 0.75])
  })

  it('of one unsigned bit are 0 and the scale', () => {
    const spec = quantSpec({ bits: 1, signed: false, symmetric: true })
    const params = one(spec, paramsFromRange({ lo: 0, hi: 3 }, spec).scale)
    expect(Array.from(fakeQuantize([0, 1, 2, 9], params))).toEqual([0, 0, 3, 3])
  })
})

describe('kmeansLevels', () => {
  const error = (values: readonly number[], levels: readonly number[]) =>
    values.reduce((sum, x) => sum + Math.min(...levels.map((level) => (x - level) ** 2)), 0)

  /** All ways to cut sorted values into runs. */
  function* cuts(n: number, runs: number): Generator<number[]> {
    if (runs === 1) yield [n]
    else for (let i = 1; i <= n - runs + 1; i++) for (const rest of cuts(n - i, runs - 1)) yield [i, ...rest]
  }

  it('finds the least squared error of all partitions', () => {
    const value = fc.integer({ min: -20, max: 20 })
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 4 }), (x, k) => {
        const sorted = x.toSorted((a, b) => a - b)
        let best = Infinity
        for (const sizes of cuts(x.length, Math.min(k, x.length))) {
          const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((a, b) => a + b))
          const means = sizes.map((n, i) => sorted.slice(ends[i]! - n, ends[i]).reduce((a, b) => a + b) / n)
          best = Math.min(best, error(x, means))
        }
        expect(error(x, kmeansLevels(x, k))).toBeCloseTo(best, 8)
      }),
    )
  })

  it('beats even levels on weights of a normal distribution, by the factor of Lloyd and Max', () => {
    const r = rng(3)
    const x = Float32Array.from({ length: 60000 }, () => r.normal())
    const params = codebookParams(x, 4)
    const y = fakeQuantize(x, params)
    const mse = x.reduce((sum, v, i) => sum + (v - (y[i] as number)) ** 2, 0) / x.length
    // Max, "Quantizing for minimum distortion" (1960): 0.009497 with 16 levels for variance 1.
    expect(mse).toBeGreaterThan(0.0093)
    expect(mse).toBeLessThan(0.0097)
    expect(params.spec.format?.kind === 'levels' && params.spec.format.levels).toHaveLength(16)
  })

  it('reproduces values that are no more than levels', () => {
    for (const x of [[0.3], [0, 0], [-2, 5, 5, -2], [-1e-3, 7]]) {
      const values = Float32Array.from(x)
      const y = Array.from(fakeQuantize(values, codebookParams(values, 1)))
      expect(y).toEqual(x.map((v) => expect.closeTo(v, 6)))
    }
  })
})
