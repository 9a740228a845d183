import { nodeEngine } from '@fewbit/engine-node'
import { type FakeQuantizerRun, gauss, runFakeQuantizer, FAKE_QUANTIZER_VECTORS as VECTORS } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { Tensor } from '../ir/index.ts'
import { apotLevels, fakeQuantize, gridOf, type QuantParams, type QuantSpec, quantSpec } from '../quant/index.ts'
import type { OptionValue } from '../util/index.ts'
import type { QuantizerCall, QuantizerContext, QuantizerRole, QuantizerState } from './define.ts'
import { chooseFakeQuantizer, type FakeQuantizerName } from './registry.ts'

const engine = nodeEngine({ threads: 1 })
const SYMMETRIC = quantSpec({ bits: 4, signed: true, symmetric: true })
const AFFINE = quantSpec({ bits: 4, signed: false, symmetric: false })

type Options = Readonly<Record<string, OptionValue>>

/** The call of a fake-quantizer, with inputs set to other values. */
function callOf(
  name: FakeQuantizerName,
  cx: Partial<QuantizerContext> & { readonly params: QuantParams },
  { options = {}, set = {} }: { options?: Options; set?: Readonly<Record<string, number | readonly number[]>> } = {},
): QuantizerCall {
  const { quantizer, options: all } = chooseFakeQuantizer({ name, options })
  const role: QuantizerRole = cx.role ?? quantizer.roles[0] ?? 'weight'
  const call = quantizer.init({ spec: cx.params.spec, shape: [16], ...cx, role }, all)
  const inputs = call.inputs.map((input) => {
    const value = set[input.name]
    if (value === undefined) return input
    const [dims, values] = typeof value === 'number' ? [[], [value]] : [[value.length], value]
    return { ...input, initial: Tensor.float32(dims, values) }
  })
  return { ...call, inputs }
}

const params = (spec: QuantSpec, scale: number, zeroPoint = 0): QuantParams => ({
  spec,
  scale: [scale],
  zeroPoint: [zeroPoint],
})
const vector = (values: ArrayLike<number>) => Tensor.float32([values.length], values)
const X = vector(VECTORS.x)
const DY = vector(VECTORS.dy)
const run = (call: QuantizerCall, x = X, dy = DY, noise?: Tensor): Promise<FakeQuantizerRun> =>
  runFakeQuantizer(engine, call, x, dy, noise ? { noise: { noise } } : { training: true })

function close(actual: readonly number[] | undefined, expected: readonly number[] | number, digits = 6): void {
  const wanted = typeof expected === 'number' ? [expected] : expected
  expect(actual?.length).toBe(wanted.length)
  for (const [i, e] of wanted.entries()) expect(actual?.[i], `element ${i}`).toBeCloseTo(e, digits)
}

/** Σ dy · f(x; p), differentiated by central differences in double precision: by each x, and by each named parameter. */
function differences(
  f: (x: number, p: Record<string, number>, i: number) => number,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  p: Record<string, number>,
) {
  const h = 1e-6
  const loss = (xs: ArrayLike<number>, ps: Record<string, number>) =>
    Array.from(xs).reduce((sum, v, i) => sum + (dy[i] as number) * f(v, ps, i), 0)
  const slope = (at: (step: number) => number) => (at(h) - at(-h)) / (2 * h)
  const dx = Array.from(x, (v, i) => (dy[i] as number) * slope((step) => f(v + step, p, i)))
  const byName = Object.fromEntries(
    Object.keys(p).map((name) => [name, slope((step) => loss(x, { ...p, [name]: (p[name] as number) + step }))]),
  )
  return { dx, ...byName } as { dx: number[] } & Record<string, number>
}

/** Values off the corners of all rules here, for steps of 0.25. */
const SMOOTH = [-2.9, -1.94, -1.31, -0.83, -0.41, -0.07, 0.03, 0.18, 0.29, 0.66, 0.97, 1.21, 1.44, 1.7, 2.2, 3.1]

describe('dsq', () => {
  it('does what MQBench does', async () => {
    const result = await run(callOf('dsq', { params: params(SYMMETRIC, 0.25) }, { options: { learnScale: false } }))
    close(result.y, VECTORS.dsq.y)
    close(result.gradients.x, VECTORS.dsq.dx)
    expect(Object.keys(result.gradients)).toEqual(['x'])
  })

  it.each([
    [SYMMETRIC, 0, 0.4],
    [AFFINE, 5, 0.2],
  ])('has the derivatives of the soft staircase', async (spec, z, alpha) => {
    const options = { learnAlpha: true, gradientScale: 'none', alpha }
    const { gradients } = await run(callOf('dsq', { params: params(spec, 0.25, z) }, { options }), vector(SMOOTH))
    const staircase = (x: number, { s = 1, a = 0 }: Record<string, number>) => {
      const v = x / s + z
      if (v < spec.quantMin || v > spec.quantMax) return s * (Math.min(Math.max(v, spec.quantMin), spec.quantMax) - z)
      const k = Math.log(2 / a - 1)
      const phi = Math.floor(v) + 0.5 + (0.5 / (1 - a)) * Math.tanh(k * (v - Math.floor(v) - 0.5))
      return s * (phi - z)
    }
    const expected = differences(staircase, SMOOTH, VECTORS.dy, { s: 0.25, a: alpha })
    close(gradients.x, expected.dx, 4)
    close(gradients.scale, expected.s as number, 4)
    close(gradients.alpha, expected.a as number, 4)
  })
})

describe('pact', () => {
  it('does what MQBench does, but for a code beyond α that deployed kernels use', async () => {
    const range = params(AFFINE, 0.26666668, 7)
    const result = await run(callOf('pact', { params: range }, { options: { start: 2 } }))
    close(result.y.slice(0, 15), VECTORS.pact.y.slice(0, 15))
    expect(result.y[15]).toBeCloseTo(8 * 0.26666668, 6)
    close(result.gradients.x, VECTORS.pact.dx)
    close(result.gradients.alpha, VECTORS.pact.dAlpha)
    close(result.gradients.negative_alpha, VECTORS.pact.dNegativeAlpha)
  })

  it('begins with the observed range unless told otherwise', () => {
    const inputs = callOf('pact', { params: params(AFFINE, 0.25, 4) }).inputs
    expect(inputs.map(({ name, initial, decays }) => [name, [...initial.numbers()], decays])).toEqual([
      ['alpha', [2.75], true],
      ['negative_alpha', [-1], true],
    ])
  })

  it('is the paper’s rule for values that are never negative', async () => {
    const spec = quantSpec({ bits: 4, signed: false, symmetric: true })
    const call = callOf('pact', { params: params(spec, 0.11) })
    const { y, gradients } = await run(call)
    const alpha = 1.65
    close(
      gradients.x,
      VECTORS.x.map((x, i) => (x >= 0 && x <= alpha ? (VECTORS.dy[i] as number) : 0)),
    )
    close(
      gradients.alpha,
      VECTORS.x.reduce<number>((sum, x, i) => sum + (x > alpha ? (VECTORS.dy[i] as number) : 0), 0),
    )
    close(
      y,
      VECTORS.x.map((x) => Math.min(Math.max(Math.round(x / 0.11), 0), 15) * 0.11),
      5,
    )
  })

  it('counts what is clipped on both sides of a symmetric grid', async () => {
    const { gradients } = await run(callOf('pact', { params: params(SYMMETRIC, 0.25) }, { options: { start: 1.1 } }))
    const clipped = VECTORS.x.map((x, i) => (Math.abs(x) > 1.1 ? Math.sign(x) * (VECTORS.dy[i] as number) : 0))
    close(
      gradients.alpha,
      clipped.reduce((a, b) => a + b, 0),
    )
  })
})

describe('dorefa', () => {
  const values = Float32Array.from(VECTORS.x)
  const cx = { params: params(SYMMETRIC, 0.5), values }

  it('does what MQBench does, with reciprocal scales', async () => {
    const reciprocal = { ...SYMMETRIC, reciprocal: true } as const
    const call = callOf('dorefa', { params: params(reciprocal, 0.5), values }, { options: { gain: 'unit' } })
    expect(call.inputs[0]?.initial.numbers()[0]).toBeCloseTo(VECTORS.dorefa.scale, 7)
    const { y, gradients } = await run(call)
    close(y, VECTORS.dorefa.y)
    close(gradients.x, VECTORS.dorefa.dx)
  })

  it('has the derivative of its formula, through tanh and the largest', async () => {
    const { gradients } = await run(callOf('dorefa', cx))
    const all = VECTORS.x.map(Number)
    const weights = (xs: readonly number[]) => {
      const most = Math.max(...xs.map((x) => Math.abs(Math.tanh(x))))
      return xs.map((x) => (3.7 * Math.tanh(x)) / (most + 1e-5))
    }
    const loss = (xs: readonly number[]) => weights(xs).reduce((sum, w, i) => sum + w * (VECTORS.dy[i] as number), 0)
    const h = 1e-6
    const numeric = all.map((_, i) => {
      const moved = (by: number) => loss(all.map((x, j) => (i === j ? x + by : x)))
      return (moved(h) - moved(-h)) / (2 * h)
    })
    close(gradients.x, numeric, 4)
  })

  it('keeps the largest weight where it was, unless told not to', () => {
    const { quantizer, options } = chooseFakeQuantizer({ name: 'dorefa' })
    const stored = (gain: 'keep' | 'unit') => {
      const call = callOf('dorefa', cx, { options: { gain } })
      const state: QuantizerState = Object.fromEntries(call.inputs.map((input) => [input.name, input.initial]))
      return quantizer.deployedWeights?.({ values, dims: [16] }, SYMMETRIC, state, options)
    }
    expect(stored('keep')?.[15]).toBeCloseTo(3.7, 3)
    expect(stored('unit')?.[15]).toBeCloseTo(1, 4)
  })
})

describe('tqt', () => {
  it('does what MQBench does with weights: rounds the scale up, ties to even', async () => {
    const options = { mask: 'margin' }
    const { y } = await run(
      callOf('tqt', { params: params(quantSpec({ bits: 8, signed: true, symmetric: true }), 0.3) }, { options }),
    )
    close(y, VECTORS.tqt.y)
  })

  it('rounds ties of activations as the target does, where MQBench rounds only negative ones up', async () => {
    const halfUp = quantSpec({ bits: 8, signed: true, symmetric: true, rounding: 'half-up' })
    const { y } = await run(callOf('tqt', { params: params(halfUp, 0.3) }))
    const positiveTies = [9, 13]
    y.forEach((v, i) => {
      const expected = (VECTORS.tqt.yNegativeTiesUp[i] as number) + (positiveTies.includes(i) ? 0.5 : 0)
      expect(v, `element ${i}`).toBeCloseTo(expected, 6)
    })
  })

  it.each([
    [-2, -2, 1.2303362],
    [-1.3, -2.436757, 3.2896395],
  ])('does what MegEngine does with real exponents: %d', async (p, lowest, slope) => {
    const spec = quantSpec({ bits: 4, signed: true, symmetric: true, rounding: 'half-away' })
    const options = { scale: 'real', mask: 'margin' }
    const { y, gradients } = await run(
      callOf('tqt', { params: params(spec, 0.25) }, { options, set: { log2_scale: p } }),
    )
    expect(y[0]).toBeCloseTo(lowest, 6)
    close(gradients.log2_scale, slope)
  })

  it('trains through the rounding of its exponent, by the scale that it rounds to', async () => {
    const at = async (p: number) =>
      (await run(callOf('tqt', { params: params(SYMMETRIC, 0.25) }, { set: { log2_scale: p } }))).gradients
    const [exact, below] = [await at(-2), await at(-2.7)]
    expect(below).toEqual(exact)
    // Σ g·(R(v) − v)·s·ln 2 inside and Σ g·clip·s·ln 2 outside: the vectors' 7.1 of LSQ times s·ln 2.
    close(exact.log2_scale, 7.1 * 0.25 * Math.LN2)
    expect(await at(-2.5)).toEqual(exact)
    expect(
      callOf('tqt', { params: params(SYMMETRIC, 0.25) }, { options: { learn: false } }).inputs.some((i) => i.trained),
    ).toBe(false)
  })
})

describe('tqt that begins at a power of two', () => {
  it('is half an exponent away from the next on both sides, and computes with the power that it was given', async () => {
    const call = callOf('tqt', { params: params(SYMMETRIC, 0.25) })
    expect(call.inputs[0]?.initial.numbers()[0]).toBe(-2.5)
    close((await run(call)).y, VECTORS.lsqSymmetric.y)
    const real = callOf('tqt', { params: params(SYMMETRIC, 0.25) }, { options: { scale: 'real' } })
    expect(real.inputs[0]?.initial.numbers()[0]).toBe(-2)
  })
})

describe('ewgs', () => {
  it('makes gradients larger where the error has their sign, and smaller where not', async () => {
    const delta = 0.8
    const { y, gradients } = await run(callOf('ewgs', { params: params(SYMMETRIC, 0.25) }, { options: { delta } }))
    const expected = VECTORS.x.map((x, i) => {
      const g = VECTORS.dy[i] as number
      const error = (x - (y[i] as number)) / (15 * 0.25)
      return x < -2 || x > 1.75 ? 0 : g * (1 + delta * Math.sign(g) * error)
    })
    close(gradients.x, expected)
    const lsq = await run(callOf('lsq', { params: params(SYMMETRIC, 0.25), role: 'weight' }))
    close(gradients.scale, lsq.gradients.scale ?? [])
  })
})

describe('qil', () => {
  const values = Float32Array.from(VECTORS.x)

  it('has the derivatives of its interval', async () => {
    const set = { centre: 1.3, width: 0.95, gamma: 1.4 }
    const options = { gradientScale: 'none' }
    const { gradients } = await run(
      callOf('qil', { params: params(SYMMETRIC, 0.5), values }, { options, set }),
      vector(SMOOTH),
    )
    const weight = (x: number, { centre = 0, width = 1, gamma = 1 }: Record<string, number>) =>
      3.7 * Math.sign(x) * Math.min(Math.max((0.5 * (Math.abs(x) - centre)) / width + 0.5, 0), 1) ** gamma
    const expected = differences(weight, SMOOTH, VECTORS.dy, set)
    close(gradients.x, expected.dx, 4)
    for (const name of ['centre', 'width', 'gamma']) close(gradients[name], expected[name] as number, 4)
  })

  it('begins with the weights as they are, and prunes below the interval', async () => {
    const start = callOf('qil', { params: params(SYMMETRIC, 0.5), values })
    const symmetric = { ...SYMMETRIC, quantMin: -7 }
    close((await run(start)).y, [...fakeQuantize(values, params(symmetric, 3.7 / 7))], 5)
    const pruned = callOf('qil', { params: params(SYMMETRIC, 0.5), values }, { set: { centre: 2, width: 0.5 } })
    expect((await run(pruned)).y.map((v) => v === 0)).toEqual(VECTORS.x.map((x) => Math.abs(x) < 1.5 + 0.5 / 7))
  })
})

describe('apot', () => {
  const spec = quantSpec({
    bits: 4,
    signed: true,
    symmetric: true,
    format: { kind: 'levels', levels: apotLevels(4, { signed: true }) },
  })

  it('is the paper’s rule: quantization error inside, sign outside', async () => {
    const { y, gradients } = await run(callOf('apot', { params: params(spec, 1.9), role: 'activation' }))
    const { levels } = gridOf(spec.format as never, 1)
    const nearest = (v: number) => levels.reduce((best, l) => (Math.abs(l - v) <= Math.abs(best - v) ? l : best))
    close(
      y,
      VECTORS.x.map((x) => 1.9 * nearest(x / 1.9)),
    )
    close(
      gradients.x,
      VECTORS.x.map((x, i) => (Math.abs(x) > 1.9 ? 0 : (VECTORS.dy[i] as number))),
    )
    const slope = VECTORS.x.map((x) => (Math.abs(x) > 1.9 ? Math.sign(x) : nearest(x / 1.9) - x / 1.9))
    close(
      gradients.scale,
      slope.reduce((sum, d, i) => sum + d * (VECTORS.dy[i] as number), 0),
      5,
    )
  })

  it('normalizes weights by their mean and deviation, which count as constants in the gradient', async () => {
    const values = Float32Array.from(VECTORS.x)
    const call = callOf(
      'apot',
      { params: params(spec, 2), values, role: 'weight' },
      { options: { normalize: true, gain: 'unit', start: 1 } },
    )
    const { y, gradients } = await run(call)
    const mean = values.reduce((a, b) => a + b) / 16
    const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / 15) + 1e-5
    const unit = Array.from(values, (x) => (x - mean) / deviation)
    close(y, [...fakeQuantize(unit.map(Math.fround), params(spec, 1))])
    close(
      gradients.x,
      unit.map((u, i) => (Math.abs(u) > 1 ? 0 : (VECTORS.dy[i] as number) / deviation)),
    )
  })
})

describe('n2uq', () => {
  const spec = quantSpec({ bits: 3, signed: false, symmetric: false })
  const observed = params(spec, 0.4, 2)
  const intervals = [0.3, 0.5, 0.2, 0.6, 0.45, 0.1, 0.8]
  const set = { start: -0.7, intervals }
  const begins = intervals.map((_, i) => intervals.slice(0, i).reduce((a, b) => a + b, -0.7))

  it('begins as the uniform grid', async () => {
    const x = gauss(3, 64)
    const { y } = await run(callOf('n2uq', { params: observed, shape: [64] }), vector(x), vector(x))
    close(y, [...fakeQuantize(x, observed)], 5)
  })

  it('counts the middles of intervals that are reached', async () => {
    const { y } = await run(callOf('n2uq', { params: observed }, { set }), vector(SMOOTH))
    const middles = begins.map((begin, i) => begin + (intervals[i] as number) / 2)
    close(
      y,
      SMOOTH.map((x) => 0.4 * (middles.filter((t) => x >= t).length - 2)),
    )
  })

  it('has the derivatives of the line through the ends of intervals', async () => {
    const { y, gradients } = await run(callOf('n2uq', { params: observed }, { set }), vector(SMOOTH))
    const line = (x: number, p: Record<string, number>) => {
      let at = p.start as number
      if (x < at) return 0
      for (const i of intervals.keys()) {
        const length = p[i] as number
        if (x < at + length) return 0.4 * (i + (x - at) / length)
        at += length
      }
      return 0.4 * intervals.length
    }
    const expected = differences(line, SMOOTH, VECTORS.dy, { start: -0.7, ...Object.fromEntries(intervals.entries()) })
    close(gradients.x, expected.dx, 4)
    close(gradients.start, expected.start as number, 4)
    close(
      gradients.intervals,
      intervals.map((_, i) => expected[i] as number),
      4,
    )
    close(
      gradients.scale,
      y.reduce((sum, v, i) => sum + (v / 0.4) * (VECTORS.dy[i] as number), 0),
      5,
    )
  })
})

describe('soft-rounding', () => {
  const scale = VECTORS.adaround.scale
  const values = Float32Array.from(VECTORS.x)
  const call = callOf('soft-rounding', { params: params(SYMMETRIC, scale), values })

  it('begins where MQBench’s AdaRound begins, with the weights as they are', async () => {
    close(Array.from(call.inputs.at(-1)?.initial.numbers() ?? []), VECTORS.adaround.v, 5)
    close((await run(call)).y, VECTORS.adaround.soft)
    close((await runFakeQuantizer(engine, call, X, DY)).y, VECTORS.adaround.hard)
  })

  it('has the derivative of the rectified sigmoid', async () => {
    const v = Array.from({ length: 16 }, (_, i) => (i - 8) / 2.6)
    const moved = callOf('soft-rounding', { params: params(SYMMETRIC, scale), values }, { set: { v } })
    const { gradients } = await run(moved)
    const soft = (vi: number, _: object, i: number) => {
      const h = Math.min(Math.max(1.2 / (1 + Math.exp(-vi)) - 0.1, 0), 1)
      return scale * Math.min(Math.max(Math.floor(Math.fround((values[i] as number) / scale)) + h, -8), 7)
    }
    close(gradients.v, differences(soft, v, VECTORS.dy, {}).dx, 4)
    expect(gradients.x?.every((g) => g === 0)).toBe(true)
  })
})

describe('qdrop', () => {
  it('quantizes what noise lies below the probability for, with LSQ’s gradients there', async () => {
    const noise = VECTORS.x.map((_, i) => ((i * 7) % 16) / 16)
    const options = { probability: 0.4, gradientScale: 'none' }
    const call = callOf('qdrop', { params: params(SYMMETRIC, 0.25) }, { options })
    const { y, gradients } = await run(call, X, DY, vector(noise))
    const dropped = noise.map((n) => n >= 0.4)
    close(
      y,
      VECTORS.x.map((x, i) => (dropped[i] ? x : (VECTORS.lsqSymmetric.y[i] as number))),
    )
    close(
      gradients.x,
      VECTORS.dy.map((g, i) => (dropped[i] ? g : (VECTORS.lsqSymmetric.dx[i] as number))),
    )
    const part = VECTORS.dy.map((g, i) => (dropped[i] ? 0 : g))
    const lsq = callOf(
      'lsq',
      { params: params(SYMMETRIC, 0.25), role: 'activation' },
      { options: { mask: 'rounded', gradientScale: 'none' } },
    )
    close(gradients.scale, (await run(lsq, X, vector(part))).gradients.scale ?? [])
  })

  it('quantizes everything in evaluation', async () => {
    const call = callOf('qdrop', { params: params(SYMMETRIC, 0.25) }, { options: { probability: 0 } })
    close((await runFakeQuantizer(engine, call, X, DY)).y, VECTORS.lsqSymmetric.y)
  })
})
