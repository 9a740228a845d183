import { nodeEngine } from '@fewbit/engine-node'
import { gauss, runFakeQuantizer, FAKE_QUANTIZER_VECTORS as VECTORS } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { attribute, Tensor } from '../ir/index.ts'
import { fakeQuantize, type QuantParams, type QuantSpec, quantSpec } from '../quant/index.ts'
import { TARGETS } from '../targets/index.ts'
import type { QuantizerCall, QuantizerRole } from './define.ts'
import { POWER_OF_TWO_OP, roundedToPowerOfTwo } from './power-of-two-scale.ts'
import { chooseFakeQuantizer, type FakeQuantizerName, obstacleOf } from './registry.ts'

const engine = nodeEngine({ threads: 1 })
const SHIFTS = quantSpec({ bits: 4, signed: true, symmetric: true, powerOfTwo: 'ceil' })
const REAL = quantSpec({ bits: 4, signed: true, symmetric: true })
const X = Tensor.float32([16], VECTORS.x)
const DY = Tensor.float32([16], VECTORS.dy)
const values = Float32Array.from(VECTORS.x)
const steps = (value: number) => ({ steps: attribute.float(value) })

function callOf(
  name: FakeQuantizerName,
  spec: QuantSpec,
  scale: number,
  options = {},
  weights = values,
): QuantizerCall {
  const { quantizer, options: all } = chooseFakeQuantizer({ name, options })
  const params: QuantParams = { spec, scale: [scale], zeroPoint: [0] }
  const role: QuantizerRole = quantizer.roles[0] ?? 'weight'
  return quantizer.init({ spec, params, shape: [16], role, values: weights }, all)
}

/** The first input that is trained, set to another value. */
const at = (call: QuantizerCall, name: string, value: number): QuantizerCall => ({
  ...call,
  inputs: call.inputs.map((input) =>
    input.name === name ? { ...input, initial: Tensor.float32([], [value]) } : input,
  ),
})

/** s·round(clip(x/s)), and the derivative of its straight-through form by s (LSQ, equation 3). */
const quantized = (x: number, s: number) => s * Math.min(Math.max(roundTies(x / s), -8), 7)
const bySize = (x: number, s: number) => {
  const v = x / s
  return v <= -8 ? -8 : v >= 7 ? 7 : roundTies(v) - v
}
const roundTies = (v: number) => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v))

function close(actual: readonly number[] | undefined, expected: readonly number[], digits = 6): void {
  expect(actual?.length).toBe(expected.length)
  for (const [i, e] of expected.entries()) expect(actual?.[i], `element ${i}`).toBeCloseTo(e, digits)
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)

describe('PowerOfTwo', () => {
  it('rounds to the nearest power by its logarithm, to the bit, also beside √2 and powers', async () => {
    const near = [1, Math.SQRT2, 2, 0.5].flatMap((x) => [-2, -1, 0, 1, 2].map((ulps) => x * (1 + ulps * 2 ** -23)))
    const xs = [...near, ...near.map((x) => -x * 2 ** -17), ...gauss(5, 64).map((v) => Math.exp(4 * v)), 1e-30, 0].map(
      Math.fround,
    )
    const x = Tensor.float32([xs.length], xs)
    const op = { op: POWER_OF_TWO_OP, inputs: [] }
    for (const n of [1, 7.5, 127]) {
      const call: QuantizerCall = { ...op, attributes: steps(n) }
      const { y } = await runFakeQuantizer(engine, call, x, x)
      expect(y).toEqual([...roundedToPowerOfTwo(x, n).numbers()])
      const exact = xs.map((v) => {
        const share = Math.max(Math.abs(v) / n, 2 ** -63)
        const below = 2 ** Math.floor(Math.log2(share) + 1e-12)
        return (share / below >= Math.SQRT2 ? 2 * below : below) * n
      })
      if (n === 1) expect(y).toEqual(exact)
    }
  })

  it('passes gradients as the rounding of a logarithm does: 2^(round(l) + l − const), l = log2 x', async () => {
    const x = Tensor.float32([4], [0.3, 1.1, -2.9, 5])
    const ones = Tensor.float32([4], [1, 2, 1, -1])
    const call: QuantizerCall = {
      op: POWER_OF_TWO_OP,
      inputs: [],
      attributes: steps(1),
    }
    const { gradients } = await runFakeQuantizer(engine, call, x, ones)
    const expected = [0.3, 1.1, -2.9, 5].map((v, i) => {
      const held = Math.round(Math.log2(Math.abs(v))) - Math.log2(Math.abs(v))
      const f = (u: number) => 2 ** (held + Math.log2(Math.abs(u)))
      return ((f(v + 1e-6) - f(v - 1e-6)) / 2e-6) * (ones.numbers()[i] as number)
    })
    close(gradients.x, expected, 5)
  })
})

describe.each(['lsq', 'lsq-plus', 'ewgs'] as const)('%s on scales that are powers of two', (name) => {
  it('rounds by the nearest power, and trains through it', async () => {
    const call = at(callOf(name, SHIFTS, 0.25, { gradientScale: 'none', mask: 'rounded' }), 'scale', 0.31)
    const { y, gradients } = await runFakeQuantizer(engine, call, X, DY)
    close(
      y,
      VECTORS.x.map((x) => quantized(x, 0.25)),
    )
    const slope = sum(VECTORS.x.map((x, i) => bySize(x, 0.25) * (VECTORS.dy[i] as number)))
    expect(gradients.scale?.[0]).toBeCloseTo((slope * 0.25) / 0.31, 4)
  })
})

describe('dsq', () => {
  it('rounds its scale, where the target asks for it or an option does', async () => {
    for (const [spec, options] of [
      [SHIFTS, {}],
      [REAL, { scale: 'power-of-two' }],
    ] as const) {
      const { y } = await runFakeQuantizer(engine, at(callOf('dsq', spec, 0.25, options), 'scale', 0.2), X, DY)
      close(
        y,
        VECTORS.x.map((x) => quantized(x, 0.25)),
      )
    }
    const { y } = await runFakeQuantizer(engine, at(callOf('dsq', REAL, 0.25), 'scale', 0.2), X, DY)
    expect(y[15]).toBeCloseTo(7 * 0.2, 6)
  })
})

describe('pact', () => {
  it('clips at the end of the grid whose step is a power of two', async () => {
    // α/7.5 = 0.24 goes to 0.25: the grid ends at 7.5 steps of it.
    const { y, gradients } = await runFakeQuantizer(engine, at(callOf('pact', SHIFTS, 0.25), 'alpha', 1.8), X, DY)
    close(
      y,
      VECTORS.x.map((x) => quantized(x, 0.25)),
    )
    const clipped = VECTORS.x.map((x, i) => (Math.abs(x) > 1.875 ? Math.sign(x) * (VECTORS.dy[i] as number) : 0))
    expect(gradients.alpha?.[0]).toBeCloseTo((sum(clipped) * 1.875) / 1.8, 5)
  })
})

describe('dorefa', () => {
  const weights = Float32Array.from(VECTORS.x)

  it('stops gradients where the grid ends before the largest weights', async () => {
    const call = callOf('dorefa', SHIFTS, 0.25)
    const scale = call.inputs[0]?.initial.numbers()[0] as number
    // The largest weight is 3.7, 3.7/7.5 = 0.493.
    expect(scale).toBe(0.5)
    const small = callOf('dorefa', { ...SHIFTS, quantMin: -5, quantMax: 5 }, 0.25)
    // 3.7/5 = 0.74 goes up to 1; 3.7/6 = 0.617 down to 0.5, with the ends at ±3.
    expect(small.inputs[0]?.initial.numbers()[0]).toBe(1)
    const ends = callOf('dorefa', { ...SHIFTS, quantMin: -6, quantMax: 6 }, 0.25)
    expect(ends.inputs[0]?.initial.numbers()[0]).toBe(0.5)
    const { y, gradients } = await runFakeQuantizer(engine, ends, Tensor.float32([16], weights), DY)
    const most = Math.tanh(3.7)
    const normalized = VECTORS.x.map((x) => (3.7 * Math.tanh(x)) / (most + 1e-5))
    close(
      y,
      normalized.map((w) => 0.5 * Math.min(Math.max(Math.round(w / 0.5), -6), 6)),
      5,
    )
    // Without the largest, the gradient is that of tanh alone where the code is one of the grid.
    const passed = normalized.map((w, i) => (Math.abs(w) <= 3.25 ? (VECTORS.dy[i] as number) : 0))
    for (let i = 0; i < 15; i++) {
      const slope = (3.7 / (most + 1e-5)) * (1 - Math.tanh(VECTORS.x[i] as number) ** 2)
      expect(gradients.x?.[i], `element ${i}`).toBeCloseTo(slope * (passed[i] as number), 4)
    }
    expect(passed.filter((g) => g === 0).length).toBeGreaterThan(2)
  })
})

describe('qil', () => {
  it('begins with the weights as they are, clipped where the grid of the nearest power ends', async () => {
    // No ties among these; the largest is 3.441, and 3.441/6 = 0.57 goes to 0.5, whose grid ends at 3.
    const weights = Float32Array.from(VECTORS.x, (x) => 0.93 * x)
    const spec = { ...SHIFTS, quantMin: -6, quantMax: 6 }
    const call = callOf('qil', spec, 0.25, {}, weights)
    const { y, gradients } = await runFakeQuantizer(engine, call, Tensor.float32([16], weights), DY)
    close(y, [...fakeQuantize(weights, { spec, scale: [0.5], zeroPoint: [0] })], 5)
    close(
      gradients.x,
      VECTORS.dy.map((g, i) => (Math.abs(weights[i] as number) > 3 || weights[i] === 0 ? 0 : g)),
      5,
    )
  })
})

describe.each(['dorefa', 'qil'] as const)('%s on a grid with a zero point', (name) => {
  it('puts zero in the middle of the codes', async () => {
    const spec = quantSpec({ bits: 4, signed: false, symmetric: false })
    const call = callOf(name, spec, 0.25)
    const { quantizer, options } = chooseFakeQuantizer({ name })
    const state = Object.fromEntries(call.inputs.map((input) => [input.name, input.initial]))
    const params = quantizer.toParams(spec, state, options)
    expect(params.zeroPoint).toEqual([8])
    const stored = quantizer.deployedWeights?.({ values, dims: [16] }, spec, state, options) as Float32Array
    const { y } = await runFakeQuantizer(engine, call, X, DY)
    const expected = fakeQuantize(stored, params)
    close(y, [...expected], 5)
    // The largest, 3.7, and its opposite are within half a step of a code.
    expect(y[15]).toBeGreaterThan(3.7 - 0.3)
    expect(y[0]).toBeLessThan(name === 'qil' ? -2.5 : -3.4)
  })
})

describe('obstacleOf', () => {
  const why = (name: FakeQuantizerName, options = {}, spec = SHIFTS) =>
    obstacleOf(chooseFakeQuantizer({ name, options }), 'activation', spec, TARGETS.tvm)

  it('is none where scales are rounded, and names what cannot be', () => {
    for (const name of ['lsq', 'lsq-plus', 'dsq', 'pact', 'ewgs', 'qdrop', 'tqt', 'fixed'] as const)
      expect(why(name), name).toBeUndefined()
    expect(why('lsq', { scale: 'real' })).toMatch(/leave scale=real out/)
    expect(why('apot')).toMatch(/not evenly spaced/)
    expect(why('pact', {}, quantSpec({ bits: 4, signed: false, symmetric: false, powerOfTwo: 'round' }))).toMatch(
      /both ends/,
    )
  })
})
