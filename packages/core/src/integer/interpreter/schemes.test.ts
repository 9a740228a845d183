import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quantizeMultiplier } from '../../util/index.ts'
import type { Grid, Requantize, SumSite } from './scheme.ts'
import { SCHEMES, type SchemeName } from './schemes/index.ts'

const grid = (scale: number, zeroPoint = 0): Grid => ({ dtype: 'int8', scale, zeroPoint, min: -128, max: 127 })

const site = (scale: number, extra: Partial<SumSite> = {}): SumSite => ({
  opType: 'Conv',
  depthwise: false,
  grouped: false,
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

  it("PyTorch's quantizer and means take codes to even, its kernels what is behind the zero point", () => {
    // torch 2.13.0: quantize_per_tensor, mean and avg_pool2d, and leaky_relu of 64 elements, of 0.5, 1.5 and 2.5 on a step of 1 from code 101.
    const [half, odd] = [grid(0.5), { ...grid(1, 101), min: 0, max: 255 }]
    const code = SCHEMES.fbgemm.rescale(half, odd)
    expect([1, 3, 5].map(code)).toEqual([102, 102, 104])
    const average = SCHEMES.fbgemm.average?.({ input: grid(1), output: odd })
    if (typeof average !== 'function') throw new Error('no average')
    expect([1, 3, 5].map((sum) => average(Int32Array.of(sum, 0), 2, 2, 0))).toEqual([102, 102, 104])
    const mean = SCHEMES.fbgemm.mean?.({ input: grid(1), output: odd, count: 2, images: 1 })
    const table = SCHEMES.fbgemm.unary?.({
      opType: 'LeakyRelu',
      attributes: {},
      input: half,
      output: odd,
      real: (x) => x,
    })
    if (typeof mean !== 'function') throw new Error('no mean')
    expect([1, 3, 5].map((sum) => mean(sum, 0))).toEqual([102, 102, 104])
    expect([1, 3, 5].map((x) => table?.(x))).toEqual([101, 103, 103])
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

  it('convolutions in groups run in scalar code on TensorFlow Lite', () => {
    expect(requantize('tflite', 0.25, { grouped: true })(-6, 0)).toBe(-2)
    expect(requantize('tflite', 0.25)(-6, 0)).toBe(-1)
  })

  it('rounds twice where once gives another code', () => {
    // 2 · 0.1875 = 0.375, but 2 · 0.75 = 1.5 goes to 2, and 2 / 4 to 1.
    expect(requantize('cmsis', 0.1875)(2, 0)).toBe(1)
    expect(requantize('tflite-single', 0.1875)(2, 0)).toBe(0)
  })
})

describe('what LiteRT 2.3.0 gives for every code, by its own kernels', () => {
  const clamp = (code: number): number => Math.max(-128, Math.min(127, code))
  const hardSwish = (x: number): number => x * Math.max(0, Math.min(1, x / 6 + 0.5))
  const leakyRelu = (x: number): number => (x >= 0 ? x : Math.fround(0.1) * x)
  const below = [-124, -117, -110, -103, -95, -88, -81, -74, -67, -59, -52].map((code) => [code, -1] as const)

  // Where fixed point is not the exact value rounded, and by how much.
  it.each([
    ['HardSwish', hardSwish, grid(0.0313725508749485, -1), grid(0.017156800255179405, -106), [[12, -1]]],
    ['HardSwish', hardSwish, grid(0.016470588743686676, -49), grid(0.012627450749278069, -99), []],
    ['HardSwish', hardSwish, grid(0.03019607812166214, 104), grid(0.0031633866019546986, -9), [[122, 1]]],
    ['LeakyRelu', leakyRelu, grid(0.016470588743686676, -49), grid(0.011882353574037552, -117), below],
    ['Tanh', Math.tanh, grid(0.016470588743686676, -49), grid(0.0078125), []],
  ] as const)('%s', (opType, real, input, output, exceptions) => {
    const attributes: Record<string, number> = opType === 'LeakyRelu' ? { alpha: 0.1 } : {}
    const code = SCHEMES.tflite.unary?.({ opType, attributes, input, output, real })
    const off = new Map<number, number>(exceptions)
    for (let x = -128; x < 128; x++) {
      const value = real((x - input.zeroPoint) * input.scale) / output.scale
      const rounded = clamp(Math.sign(value) * Math.round(Math.abs(value)) + output.zeroPoint)
      expect({ x, y: clamp(code?.(x) ?? Number.NaN) }).toEqual({ x, y: rounded + (off.get(x) ?? 0) })
    }
  })

  it('has no HardSwish for results on finer steps than its kernel takes', () => {
    const site = { opType: 'HardSwish', attributes: {}, real: hardSwish, input: grid(0.5), output: grid(0.001) }
    expect(SCHEMES.tflite.unary?.(site)).toBeUndefined()
  })
})

describe('an Add of 16-bit data in fixed point', () => {
  /** `AddElementwise` of TensorFlow Lite's reference/add.h on int16, in bigint: 15 bits to the left, halves away from zero. */
  function reference(codes: readonly [number, number], scales: readonly [number, number, number]): number {
    const multiply = (x: bigint, real: number): bigint => {
      const { multiplier, shift } = quantizeMultiplier(real)
      const high = (x * BigInt(multiplier) + (1n << 30n)) >> 31n
      const half = shift < 0 ? 1n << BigInt(-shift - 1) : 0n
      return high < 0n ? -((-high + half) >> BigInt(-shift)) : (high + half) >> BigInt(-shift)
    }
    const twice = 2 * Math.max(scales[0], scales[1])
    const [a, b] = codes.map((code, i) => multiply(BigInt(code) << 15n, (scales[i] as number) / twice))
    return Number(multiply((a as bigint) + (b as bigint), twice / (2 ** 15 * scales[2])))
  }

  it('shifts by 15 bits', () => {
    const wide = (scale: number): Grid => ({ dtype: 'int16', scale, zeroPoint: 0, min: -32768, max: 32767 })
    // Results near halves, of which 20 bits would take the first two the other way.
    const scales = [0.003, 0.001, 0.006].map(Math.fround) as [number, number, number]
    const [a, b, output] = scales.map(wide) as [Grid, Grid, Grid]
    const add = SCHEMES.tflite.add?.({ a, b, output }, 1)
    if (typeof add !== 'function') throw new Error('no Add')
    expect([add(12613, -6312), add(-31169, 462)]).toEqual([5255, -15508])
    const code = fc.integer({ min: -32768, max: 32767 })
    fc.assert(
      fc.property(code, code, (x, y) => {
        expect(add(x, y) + 0).toBe(reference([x, y], scales) + 0)
      }),
    )
  })
})

describe('a PRelu whose slope is codes', () => {
  it('multiplies codes before it scales them', () => {
    // −7 · −3 = 21 steps of 0.5 · 0.25 / 1 = 2.625.
    const attributes = { alpha: -0.75, slope: -3, slopeScale: 0.25 }
    const site = { opType: 'PRelu', attributes, real: undefined, input: grid(0.5), output: grid(1, 4) }
    const code = SCHEMES.tflite.unary?.(site)
    expect([-7, 8].map((x) => code?.(x))).toEqual([7, 8])
  })
})

describe('sums of 16-bit data in fixed point', () => {
  it('take 16 bits of the multiplier, and more than 32 of the sum', () => {
    const wide: Grid = { dtype: 'int16', scale: 1, zeroPoint: 0, min: -32768, max: 32767 }
    const code = SCHEMES.tflite.sums(site(0.7 * 2 ** -20, { input: wide }), wide)
    if (typeof code === 'string') throw new Error(code)
    // 0.7 is 22938 / 2^15 in 16 bits, which is 1.4e-5 too much.
    expect(code(2 ** 34, 0)).toBe(Math.floor((2 ** 34 * 22938) / 2 ** 35 + 0.5))
    expect(code(-(2 ** 34), 0)).toBe(Math.floor((-(2 ** 34) * 22938) / 2 ** 35 + 0.5))
  })
})

describe('a Mul', () => {
  it('takes the ratio of scales in float32 on TensorFlow Lite, in float64 on CMSIS-NN', () => {
    const f = Math.fround
    const [a, b] = [f(0.001), f(0.3)]
    // In float32 the ratio is 1/2, in float64 1/2 + 2e-8: −1 · 1 lies on a tie, which goes up, or below it.
    const output = grid(f(a * b * 2))
    const product = (name: SchemeName) => SCHEMES[name].mul?.({ a: grid(a), b: grid(b), output })
    const [tflite, cmsis] = [product('tflite'), product('cmsis')]
    expect(typeof tflite === 'function' && tflite(-1, 1) + 0).toBe(0)
    expect(typeof cmsis === 'function' && cmsis(-1, 1)).toBe(-1)
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
