import { nodeEngine } from '@fewbit/engine-node'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attribute, Graph, GraphBuilder, Model, serializeModel, Tensor, tensorType } from '../ir/index.ts'
import type { DType } from '../util/index.ts'
import {
  coveredRange,
  dataRanges,
  dequantize,
  fakeQuantize,
  paramsFromRange,
  paramsFromRanges,
  perChannel,
  perGroup,
  perTensor,
  type QuantParams,
  quantize,
  quantSpec,
  storageDType,
} from './index.ts'

describe('paramsFromRange', () => {
  const int8 = quantSpec({ bits: 8, signed: true, symmetric: true })
  const uint8 = quantSpec({ bits: 8, signed: false, symmetric: false })

  it('divides by half the code range for symmetric and by all of it for affine specs', () => {
    const range = { lo: -3.853863477706909, hi: 3.8708255290985107 }
    // Published values of three other implementations for this range.
    expect(paramsFromRange(range, int8).scale).toBeCloseTo(0.030359415337443352, 8)
    expect(paramsFromRange(range, { ...int8, quantMin: -127 }).scale).toBeCloseTo(0.030478941276669502, 8)
    expect(paramsFromRange(range, uint8)).toEqual({ scale: Math.fround(0.030292898416519165), zeroPoint: 127 })
    expect(paramsFromRange(range, quantSpec({ bits: 4, signed: true, symmetric: true })).scale).toBeCloseTo(
      0.51611006,
      7,
    )
  })

  it('adds the lowest code to the zero point of a signed affine spec', () => {
    const spec = quantSpec({ bits: 8, signed: true, symmetric: false })
    expect(paramsFromRange({ lo: 0, hi: 2.55 }, spec).zeroPoint).toBe(-128)
    expect(paramsFromRange({ lo: -2.55, hi: 0 }, spec).zeroPoint).toBe(127)
  })

  it('widens ranges that miss zero and gives an empty one scale 1', () => {
    expect(paramsFromRange({ lo: 1, hi: 2.55 }, uint8)).toEqual({ scale: Math.fround(0.01), zeroPoint: 0 })
    expect(paramsFromRange({ lo: 0, hi: 0 }, int8)).toEqual({ scale: 1, zeroPoint: 0 })
  })

  it('refuses what is not a range', () => {
    expect(() => paramsFromRange({ lo: Number.NaN, hi: 1 }, int8)).toThrow('QUANT_RANGE')
    expect(() => paramsFromRange({ lo: 2, hi: 1 }, int8)).toThrow('QUANT_RANGE')
  })

  it('rounds the logarithm of the scale to a power of two', () => {
    const scaleOf = (s: number, powerOfTwo: 'round' | 'ceil' | 'floor') =>
      paramsFromRange({ lo: 0, hi: s * 255 }, { ...uint8, powerOfTwo }).scale
    // Published values of two policies of PPQ, and their mirror image downwards.
    const exact = [0.3, 0.0313, 1.4, 1.42, 0.25]
    expect(exact.map((s) => scaleOf(s, 'round'))).toEqual([0.25, 0.03125, 1, 2, 0.25])
    expect(exact.map((s) => scaleOf(s, 'ceil'))).toEqual([0.5, 0.0625, 2, 2, 0.25])
    expect(exact.map((s) => scaleOf(s, 'floor'))).toEqual([0.25, 0.03125, 1, 1, 0.25])
    // The zero point follows the rounded scale: −1 / 2^-6, not −1 / (3 / 255).
    expect(paramsFromRange({ lo: -1, hi: 2 }, { ...uint8, powerOfTwo: 'ceil' })).toEqual({
      scale: 2 ** -6,
      zeroPoint: 64,
    })
  })

  it('has both ends among the codes where a spec says so, by the least scale that does', () => {
    const range = fc.record({
      lo: fc.double({ min: -1e6, max: -1e-3, noNaN: true }),
      hi: fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), range, (bits, { lo, hi }) => {
        const spec = quantSpec({ bits, signed: true, symmetric: true, bothEnds: true })
        const { scale, zeroPoint } = paramsFromRange({ lo, hi }, spec)
        const covered = coveredRange({ scale, zeroPoint }, spec)
        // One end is met, the other is inside; the scale is rounded to float32.
        const reach = Math.max(lo / covered.lo, hi / covered.hi)
        expect(Math.abs(reach - 1)).toBeLessThan(2 ** -23)
      }),
    )
    const int4 = quantSpec({ bits: 4, signed: true, symmetric: true, bothEnds: true })
    expect(paramsFromRange({ lo: -8, hi: 3 }, int4).scale).toBe(1)
    expect(paramsFromRange({ lo: -8, hi: 14 }, int4).scale).toBe(2)
  })

  it('covers every value to within half a step, and zero exactly', () => {
    const spec = fc.record({
      bits: fc.integer({ min: 2, max: 16 }),
      signed: fc.boolean(),
      symmetric: fc.boolean(),
      narrow: fc.boolean(),
    })
    const end = fc.double({ min: -1e6, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(spec, end, end, fc.double({ min: 0, max: 1, noNaN: true }), (rule, a, b, t) => {
        const range = { lo: Math.min(a, b), hi: Math.max(a, b) }
        const s = quantSpec(rule)
        const { scale, zeroPoint } = paramsFromRange(range, s)
        const params = { spec: s, scale: [scale], zeroPoint: [zeroPoint] }
        const x = Math.fround(range.lo + t * (range.hi - range.lo))
        const [y, zero] = fakeQuantize([x, 0], params)
        // The zero point's own rounding moves the grid by up to another half step; an unsigned middle lacks half a code.
        const reach = s.symmetric && s.signed ? 0.5 : 1
        expect(Math.abs((y as number) - x)).toBeLessThanOrEqual(scale * (reach + 1e-4) + Math.abs(x) * 1e-6)
        expect(zero).toBe(0)
        expect(coveredRange({ scale, zeroPoint }, s).lo).toBeLessThanOrEqual(0)
      }),
    )
  })
})

describe('paramsFromRanges', () => {
  it('gives a channel of zeros its largest neighbour', () => {
    const spec = quantSpec({ bits: 8, signed: true, symmetric: true, narrow: true }, perChannel(0))
    const { scale } = paramsFromRanges(
      [
        { lo: 0, hi: 0 },
        { lo: -1.27, hi: 0 },
        { lo: 0, hi: 2.54 },
      ],
      spec,
    )
    expect(scale).toEqual([0.02, 0.01, 0.02].map(Math.fround))
  })
})

describe('quantSpec', () => {
  const rule = { bits: 8, signed: true, symmetric: true }

  it('takes codes from the rule and rounding from the rule, else the target', () => {
    expect(quantSpec({ ...rule, narrow: true, codes: [-64, 63] })).toMatchObject({ quantMin: -64, quantMax: 63 })
    expect(quantSpec(rule, perTensor(), { rounding: 'half-away', reciprocal: true })).toMatchObject({
      rounding: 'half-away',
      reciprocal: true,
    })
    expect(quantSpec({ ...rule, rounding: 'half-up' }, perTensor(), { rounding: 'half-away' }).rounding).toBe('half-up')
  })

  it('does not mention what is the default', () => {
    const plain = ['bits', 'granularity', 'quantMax', 'quantMin', 'signed', 'symmetric']
    expect(Object.keys(quantSpec(rule, perTensor(), { rounding: 'half-even' })).sort()).toEqual(plain)
    const back = quantSpec({ ...rule, rounding: 'half-even' }, perTensor(), { rounding: 'half-up' })
    expect(Object.keys(back).sort()).toEqual(plain)
  })

  it('refuses codes that the type cannot hold', () => {
    expect(() => quantSpec({ ...rule, codes: [0, 255] })).toThrow('QUANT_CODES')
    expect(() => quantSpec({ ...rule, codes: [5, 5] })).toThrow('QUANT_CODES')
  })
})

describe('fakeQuantize', () => {
  const int4 = quantSpec({ bits: 4, signed: true, symmetric: true })
  const x = [-2.6, -1.25, -1, -0.75, -0.3, -0.25, -0.1, 0, 0.1, 0.25, 0.3, 0.75, 0.9, 1.25, 1.6, 3.7].map(Math.fround)

  it('gives the published values of PyTorch', () => {
    const y = [-2, -1.25, -1, -0.75, -0.25, -0.25, 0, 0, 0, 0.25, 0.25, 0.75, 1, 1.25, 1.5, 1.75]
    expect(Array.from(fakeQuantize(x, { spec: int4, scale: [0.25], zeroPoint: [0] }))).toEqual(y)
    const uint4 = quantSpec({ bits: 4, signed: false, symmetric: false })
    const shifted = [-1.25, ...y.slice(1, 15), 2.5]
    expect(Array.from(fakeQuantize(x, { spec: uint4, scale: [0.25], zeroPoint: [5] }))).toEqual(shifted)
  })

  it('adds an odd zero point before or after rounding a tie', () => {
    const at = (spec: QuantParams['spec']) => fakeQuantize([0.125], { spec, scale: [0.25], zeroPoint: [5] })[0]
    // PyTorch's fake_quantize rounds first, its quantize_per_tensor adds first.
    expect(at(int4)).toBe(0)
    expect(at({ ...int4, addThenRound: true })).toBe(0.25)
  })

  it('differs at 34 of 256 midpoints between division and multiplication by the reciprocal', () => {
    const params = (s: QuantParams['spec']) => ({ spec: s, scale: [Math.fround(0.3)], zeroPoint: [0] })
    const midpoints = Float32Array.from({ length: 256 }, (_, i) => (i - 128 + 0.5) * Math.fround(0.3))
    const wide = quantSpec({ bits: 16, signed: true, symmetric: true })
    const divided = quantize(midpoints, params(wide))
    const multiplied = quantize(midpoints, params({ ...wide, reciprocal: true }))
    expect(midpoints.filter((_, i) => divided[i] !== multiplied[i])).toHaveLength(34)
    // −38.25 / 0.3 is 127.499995 in float32's 0.3, and float32's 1 / 0.3 brings it to 127.5, a tie.
    expect([midpoints[0], divided[0], multiplied[0]]).toEqual([-38.25, -127, -128])
  })

  it('repeats noise for each sample of a batch', () => {
    const spec = { ...int4, rounding: 'stochastic' as const }
    const codes = quantize([0.5, 0.5, 0.5, 0.5], { spec, scale: [1], zeroPoint: [0] }, [2, 2], [0.1, 0.9])
    expect(Array.from(codes)).toEqual([1, 0, 1, 0])
  })
})

describe('granularity', () => {
  const x = Float32Array.from({ length: 24 }, (_, i) => i - 11)

  it('finds the ranges of channels on any axis', () => {
    expect(dataRanges(x, [2, 3, 4], perChannel(1))).toEqual([
      { lo: -11, hi: 4 },
      { lo: -7, hi: 8 },
      { lo: -3, hi: 12 },
    ])
    expect(dataRanges(x, [2, 3, 4], perChannel(-1))).toHaveLength(4)
  })

  it('cuts an axis into groups, the last one short', () => {
    expect(dataRanges(x, [4, 6], perGroup(4, 1)).slice(0, 2)).toEqual([
      { lo: -11, hi: 0 },
      { lo: -7, hi: 0 },
    ])
    expect(dataRanges(x, [4, 6], perGroup(3, 0))).toHaveLength(12)
  })

  it('refuses an axis that the tensor does not have', () => {
    expect(() => dataRanges(x, [24], perChannel(1))).toThrow('QUANT_AXIS')
  })
})

describe('ONNX Runtime', () => {
  /** Scales whose quotients hit ties (powers of two and their odd multiples) as well as arbitrary ones. */
  const scale = fc.oneof(
    fc.constantFrom(0.25, 0.5, 1, 0.125, 0.3, 0.1).map(Math.fround),
    fc.float({ min: Math.fround(1e-4), max: 10, noNaN: true }),
  )
  const value = fc.oneof(
    fc.integer({ min: -600, max: 600 }).map((n) => n / 8),
    fc.float({ min: -300, max: 300, noNaN: true }),
    fc.constant(-0),
  )
  const far = fc.constantFrom(3.4e38, -3.4e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)

  it.each([
    [8, true],
    [8, false],
    [16, true],
    [16, false],
    [4, true],
    [4, false],
  ] as const)('quantizes and dequantizes to the same bits: %i bits, signed %s', async (bits, signed) => {
    const spec = quantSpec({ bits, signed, symmetric: false })
    const zero = fc.integer({ min: spec.quantMin, max: spec.quantMax })
    // ONNX Runtime 1.30's 4-bit kernel converts to int32 before it saturates, and wraps around beyond 2^31 steps.
    const values = bits === 4 ? value : fc.oneof(value, far)
    await fc.assert(
      fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 40 }), scale, zero, async (x, s, zeroPoint) => {
        await expectSame(Float32Array.from(x), [x.length], { spec, scale: [s], zeroPoint: [zeroPoint] })
      }),
      { numRuns: 60 },
    )
  })

  it('agrees per channel on every axis and per group', async () => {
    const x = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i * 7.3) * 5)
    const dims = [2, 6, 4]
    for (const granularity of [perChannel(0), perChannel(1), perChannel(2), perGroup(3, 1), perGroup(2, 2)]) {
      const spec = quantSpec({ bits: 8, signed: true, symmetric: false }, granularity)
      await expectSame(x, dims, paramsFromRanges(dataRanges(x, dims, granularity), spec))
    }
  })

  async function expectSame(x: Float32Array, dims: number[], params: QuantParams): Promise<void> {
    const session = await nodeEngine().load(serializeModel(quantizer(dims, params)), { optimization: 'none' })
    const { y, q } = await session.run({ x: Tensor.float32(dims, x) })
    await session.release()
    const codes = quantize(x, params, dims)
    expect(dequantize(codes, params, dims)).toEqual(y?.numbers())
    if (q) expect(Array.from(codes)).toEqual(Array.from(q.numbers()))
  }

  function quantizer(dims: readonly number[], { spec, scale, zeroPoint }: QuantParams): Model {
    const model = new Model(new Graph())
    model.opsets.set('', 21)
    const b = new GraphBuilder(model.graph)
    const { granularity } = spec
    const dtype: DType = storageDType(spec)
    const axis = granularity.kind === 'tensor' ? {} : { axis: attribute.int(granularity.axis) }
    const block = granularity.kind === 'group' ? { block_size: attribute.int(granularity.size) } : {}
    const shape = parameterShape(dims, spec.granularity)
    const s = b.constant('scale', Tensor.float32(shape, scale))
    const z = b.constant('zero', Tensor.fromNumbers(dtype, shape, zeroPoint))
    const x = b.input('x', tensorType('float32', dims))
    const q = b.op(
      'QuantizeLinear',
      [x, s, z],
      { ...axis, ...block },
      { output: 'q', types: [tensorType(dtype, dims)] },
    )
    const types = [tensorType('float32', dims)]
    b.output(b.op('DequantizeLinear', [q, s, z], { ...axis, ...block }, { output: 'y', types }))
    // Four-bit outputs abort the process.
    if (spec.bits >= 8) b.output(q)
    return model
  }

  function parameterShape(dims: readonly number[], granularity: QuantParams['spec']['granularity']): number[] {
    if (granularity.kind === 'tensor') return []
    if (granularity.kind === 'channel') return [dims[granularity.axis] as number]
    return dims.map((d, i) => (i === granularity.axis ? Math.ceil(d / granularity.size) : d))
  }
})

describe('perTensor', () => {
  it('is one run over everything', () => {
    const spec = quantSpec({ bits: 2, signed: true, symmetric: true }, perTensor())
    expect(Array.from(quantize([-9, -1, 0, 1, 9], { spec, scale: [1], zeroPoint: [0] }))).toEqual([-2, -1, 0, 1, 1])
  })
})
