import { describe, expect, it } from 'vitest'
import {
  attribute,
  cloneModel,
  Graph,
  GraphBuilder,
  Model,
  Tensor,
  tensorType,
  type Value,
  valuesByName,
} from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { academic } from '../targets/academic.ts'
import { onnxruntime } from '../targets/index.ts'
import { Diagnostics } from '../util/index.ts'
import { requiredOpset } from './form.ts'
import { type MaterializeOptions, materialize } from './materialize.ts'
import { quantSpec } from './params.ts'
import { planQuantization } from './planner.ts'
import type { PlannerOptions } from './planner-options.ts'
import { resolveParams } from './resolve-params.ts'
import type { QuantParams, QuantSpec, Range } from './spec.ts'

function finish(b: GraphBuilder, outputs: readonly Value[], opset = 17): Model {
  for (const value of outputs) b.output(value)
  const model = new Model(b.graph)
  model.opsets.set('', opset)
  inferShapes(model, { ops: defaultOps })
  return model
}

/** x[1,2] · w[2,3] + b, with numbers that are worked out by hand below. */
function gemm(weights: readonly number[], bias: readonly number[], opset = 17): Model {
  const b = new GraphBuilder(new Graph('g'))
  const x = b.input('x', tensorType('float32', [1, 2]))
  const w = b.constant('w', Tensor.float32([2, 3], weights))
  const c = b.constant('b', Tensor.float32([3], bias))
  return finish(b, [b.op('Gemm', [x, w, c], {}, { name: 'fc', output: 'y' })], opset)
}

const ranges = (entries: Record<string, Range>) => ({ activations: new Map(Object.entries(entries)) })

function quantized(model: Model, chosen: Record<string, Range>, options: PlannerOptions = {}) {
  const plan = planQuantization(model, onnxruntime, defaultOps, options)
  const diagnostics = new Diagnostics()
  const params = resolveParams(model, plan, ranges(chosen), diagnostics)
  return { plan, params, diagnostics, model: materialize(model, plan, params) }
}

const numbers = (model: Model, name: string): number[] =>
  Array.from(valuesByName(model.graph).get(name)?.constant?.numbers() ?? [])

describe('materialize', () => {
  it('stores weights and biases as integers on the right grids', () => {
    const float = gemm([1.27, -0.5, 0, -0.635, 1, 0.254], [0.51, -0.1, 0])
    const { model } = quantized(float, { x: { lo: 0, hi: 2.55 } })
    // Scale of x: 2.55 / 255 = 0.01. Scales of the columns: 1.27, 1, 0.254 over 127.
    expect(numbers(model, 'x_scale')[0]).toBeCloseTo(0.01, 8)
    expect(numbers(model, 'w_scale').map((s) => s * 127)).toEqual([1.27, 1, 0.254].map((v) => expect.closeTo(v, 6)))
    expect(numbers(model, 'w_quantized')).toEqual([127, -64, 0, -64, 127, 127].map((v) => v))
    // 0.51 / (0.01 · 0.01), −0.1 / (0.01 · 1/127), 0.
    expect(numbers(model, 'b_quantized')).toEqual([5100, -1270, 0])
    expect(valuesByName(model.graph).get('b_quantized')?.constant?.dtype).toBe('int32')
  })

  it('keeps the names of inputs and outputs and drops the float constants', () => {
    const { model } = quantized(gemm([1, 1, 1, 1, 1, 1], [0, 0, 0]), { x: { lo: -1, hi: 1 } })
    expect(model.graph.inputs.map((v) => v.name)).toEqual(['x'])
    expect(model.graph.outputs.map((v) => v.name)).toEqual(['y'])
    expect(
      [...model.graph.initializers]
        .filter((v) => v.constant?.dtype === 'float32')
        .map((v) => v.name)
        .sort(),
    ).toEqual(['b_scale', 'w_scale', 'x_scale'])
    expect([...model.graph.nodes].map((n) => n.opType)).toEqual([
      'DequantizeLinear',
      'DequantizeLinear',
      'QuantizeLinear',
      'DequantizeLinear',
      'Gemm',
    ])
  })

  it('quantizes a value once and rewires the planned readers only', () => {
    const b = new GraphBuilder(new Graph('g'))
    const x = b.input('x', tensorType('float32', [1, 2, 4, 4]))
    const w = (name: string) => b.constant(name, Tensor.float32([2, 2, 1, 1], [1, 2, 3, 4]))
    const one = b.op('Conv', [x, w('w1')], {}, { name: 'one', output: 'a' })
    const two = b.op('Conv', [x, w('w2')], {}, { name: 'two', output: 'c' })
    const neg = b.op('Neg', [x], {}, { name: 'neg', output: 'n' })
    const r = { lo: -1, hi: 1 }
    const { model } = quantized(finish(b, [one, two, neg]), { x: r, a: r, c: r })
    const readers = (name: string) =>
      valuesByName(model.graph)
        .get(name)
        ?.consumers()
        .map((n) => n.name)
    expect(readers('x')).toEqual(['neg', 'x_QuantizeLinear'])
    expect(readers('x_dequantized')).toEqual(['one', 'two'])
    expect(model.graph.outputs.map((v) => [v.name, v.producer?.opType])).toEqual([
      ['a', 'DequantizeLinear'],
      ['c', 'DequantizeLinear'],
      ['n', 'Neg'],
    ])
  })

  it('packs 4-bit weights, and asks for the opset that has them', () => {
    const float = gemm([0.7, -0.7, 0.1, 0.2, 0.3, 0.4], [0, 0, 0], 21)
    const { model, plan } = quantized(float, { x: { lo: 0, hi: 1 } }, { scheme: 'w4a8' })
    expect(requiredOpset(plan)).toBe(21)
    const weight = valuesByName(model.graph).get('w_quantized')?.constant
    expect([weight?.dtype, weight?.byteLength]).toEqual(['int4', 3])
    const low = gemm([1, 1, 1, 1, 1, 1], [0, 0, 0])
    expect(() => quantized(low, { x: { lo: 0, hi: 1 } }, { scheme: 'w4a8' })).toThrow(/MATERIALIZE_OPSET.*opset 21/)
  })
})

describe('weights of one bit', () => {
  it('are stored as their signs, zero counting as positive, times the mean magnitude', () => {
    const float = gemm([1.27, -0.5, 0, -0.635, 1, 0.254], [0.51, -0.1, 0])
    const overrides = [{ match: { op: 'Gemm' }, scheme: 'w1a8' }]
    const plan = planQuantization(float, academic, defaultOps, { overrides })
    const params = resolveParams(float, plan, ranges({ x: { lo: 0, hi: 2.55 } }), new Diagnostics())
    for (const form of ['qdq', 'simulate'] as const) {
      const model = materialize(cloneModel(float), plan, params, { form })
      expect(numbers(model, 'w_quantized')).toEqual([1, -1, 1, -1, 1, 1])
      // XNOR-Net, equation 6: (1.27 + 0.5 + 0 + 0.635 + 1 + 0.254) / 6.
      expect(numbers(model, 'w_scale')[0]).toBeCloseTo(3.659 / 6, 6)
    }
  })
})

describe('activations that QuantizeLinear alone does not describe', () => {
  /** Gemm with the spec of x or w changed; x has scale 0.5 and zero point 1. */
  function withSpec(
    change: Partial<QuantSpec>,
    {
      at = {},
      value = 'x',
      opset = 17,
      ...options
    }: MaterializeOptions & {
      at?: Partial<QuantParams>
      value?: 'x' | 'w'
      opset?: number
    } = {},
  ) {
    const float = gemm([1, 0, 0, 0, 1, 0], [0, 0, 0], opset)
    const planned = planQuantization(float, onnxruntime, defaultOps)
    const tensors = planned.tensors.map((t) => (t.value === value ? { ...t, spec: { ...t.spec, ...change } } : t))
    const plan = { ...planned, tensors }
    const params = resolveParams(float, plan, ranges({ x: { lo: 0, hi: 1 } }), new Diagnostics())
    const { spec } = params.get('x') as QuantParams
    params.set('x', { spec, scale: [0.5], zeroPoint: [1], ...at })
    return { model: materialize(float, plan, params, options), plan }
  }

  const types = (model: Model) => [...model.graph.nodes].map((n) => n.opType)
  const ternary = { format: { kind: 'levels', levels: [-1, 0, 1] }, bits: 2, quantMin: -1, quantMax: 1 } as const

  it('clips values where codes end before their type does', () => {
    const { model } = withSpec({ quantMin: 1, quantMax: 200 })
    expect(types(model).slice(2)).toEqual(['Clip', 'QuantizeLinear', 'DequantizeLinear', 'Gemm'])
    expect([numbers(model, 'x_lowest'), numbers(model, 'x_highest')]).toEqual([[0], [99.5]])
  })

  it('refuses what rounds otherwise, and names the tensor', () => {
    expect(() => withSpec({ rounding: 'half-away' })).toThrow(/MATERIALIZE_FORM.*"x".*half-away/)
    expect(() => withSpec({ addThenRound: true })).toThrow(/MATERIALIZE_FORM.*zero point before/)
    expect(() => withSpec({ reciprocal: true }, { at: { scale: [0.3] } })).toThrow(/MATERIALIZE_FORM.*reciprocal/)
    expect(() => withSpec(ternary, { value: 'w' })).toThrow(/MATERIALIZE_FORM.*"w".*neither integers/)
  })

  it('takes what comes to the same', () => {
    expect(types(withSpec({ reciprocal: true }).model)).toHaveLength(5)
    expect(types(withSpec({ addThenRound: true }, { at: { zeroPoint: [0] } }).model)).toHaveLength(5)
    // How a constant was rounded is over when it is stored.
    expect(types(withSpec({ rounding: 'half-away' }, { value: 'w' }).model)).toHaveLength(5)
  })

  it('writes ordinary nodes for simulation', () => {
    const { model } = withSpec({ rounding: 'half-up' }, { form: 'simulate' })
    const steps = ['Div', 'Mul', 'Floor', 'Mul', 'Ceil', 'Add', 'Clip', 'Sub', 'Mul']
    expect(types(model).slice(2)).toEqual([...steps, 'Gemm'])
    expect(valuesByName(model.graph).get('x_dequantized')?.producer?.opType).toBe('Mul')
  })

  it('simulates narrow types in 8 bits, and constants of other numbers as rounded floats', () => {
    const narrow = withSpec({ bits: 3, quantMin: 0, quantMax: 7 }, { form: 'simulate' })
    expect(numbers(narrow.model, 'x_highest')).toEqual([3])
    expect(valuesByName(narrow.model.graph).get('x_zero_point')?.constant?.dtype).toBe('uint8')
    expect(requiredOpset(narrow.plan)).toBe(13)
    expect(requiredOpset(withSpec({ bits: 4, quantMin: 0, quantMax: 15 }, { form: 'simulate' }).plan)).toBe(21)
    expect(requiredOpset(narrow.plan, 'simulate')).toBe(13)
    const { model } = withSpec(ternary, { value: 'w', form: 'simulate' })
    expect(numbers(model, 'w_dequantized')).toEqual([1, 0, 0, 0, 1, 0])
    expect(types(model)).toEqual(['DequantizeLinear', 'QuantizeLinear', 'DequantizeLinear', 'Gemm'])
  })

  it('rounds stochastically alike for the same seed, and asks for a fixed shape', () => {
    const noise = (seed: number) =>
      numbers(withSpec({ rounding: 'stochastic' }, { form: 'simulate', seed }).model, 'x_noise')
    expect(noise(1)).toEqual(noise(1))
    expect(noise(1)).not.toEqual(noise(2))
  })

  it.each([
    ['float8e4m3fn', 448, 19, 6],
    ['float4e2m1', 6, 23, 3],
  ] as const)('stores %s from its opset on', (kind, largest, opset, bytes) => {
    const float = { format: { kind }, quantMin: -largest, quantMax: largest } as const
    expect(() => withSpec(float, { value: 'w' })).toThrow(new RegExp(`MATERIALIZE_OPSET.*opset ${opset}`))
    const { model } = withSpec(float, { value: 'w', opset })
    // Column scales are 1 / largest; a column of zeros takes its neighbours' scale.
    const stored = valuesByName(model.graph).get('w_quantized')?.constant
    expect([stored?.dtype, stored?.byteLength]).toEqual([kind, bytes])
    expect(Array.from(stored?.numbers() ?? [])).toEqual([largest, 0, 0, 0, largest, 0])
  })
})

describe('a bias with a scale of its own', () => {
  /** Scales: 0.51 / 127 and 0.51 / (2^31 − 1). The zero point of int32 is 0 by definition. */
  it.each([
    [8, [127, -25, 0], 'int8'],
    [32, [2147483647, -421075225, 0], undefined],
  ] as const)('is stored like a weight, in %i bits', (bits, codes, zeroType) => {
    const float = gemm([1, 0, 0, 0, 1, 0], [0.51, -0.1, 0])
    const planned = planQuantization(float, onnxruntime, defaultOps)
    const spec = quantSpec({ bits, signed: true, symmetric: true, narrow: true })
    const own = { spec, source: { kind: 'weight', observer: 'minmax' } } as const
    const plan = { ...planned, tensors: planned.tensors.map((t) => (t.role === 'bias' ? { ...t, ...own } : t)) }
    const params = resolveParams(float, plan, ranges({ x: { lo: 0, hi: 1 } }), new Diagnostics())
    const model = materialize(float, plan, params)
    const stored = numbers(model, 'b_quantized')
    // float32 scales leave 24 bits of a 32-bit code.
    codes.forEach((code, i) => {
      expect(Math.abs((stored[i] as number) - code)).toBeLessThanOrEqual(Math.abs(code) * 2 ** -22)
    })
    expect(valuesByName(model.graph).get('b_zero_point')?.constant?.dtype).toBe(zeroType)
  })
})

describe('resolveParams', () => {
  it('raises weight scales until the bias fits, in the channel that needs it', () => {
    const float = gemm([1e-9, 1, 1, 1e-9, 1, 1], [100, 1, 0])
    const { params, diagnostics, model } = quantized(float, { x: { lo: 0, hi: 1 } })
    const weight = params.get('w') as QuantParams
    // 100 / (1/255 · s) must stay below 2^31 less the reach of two products, 2 · 255 · 127.
    expect(weight.scale[0]).toBeGreaterThanOrEqual(100 / ((2 ** 31 - 1 - 2 * 255 * 127) / 255))
    expect(weight.scale[0]).toBeLessThan(1.001 * (100 / (2 ** 31 / 255)))
    expect(weight.scale[1]).toBeCloseTo(1 / 127, 8)
    const [code] = numbers(model, 'b_quantized')
    expect(code).toBeLessThan(2 ** 31 - 1)
    // The stored bias is what it was, to a part in 2^22.
    expect(((code as number) * (weight.scale[0] as number)) / 255).toBeCloseTo(100, 3)
    expect(diagnostics.list.map((d) => d.code)).toEqual(['BIAS_RANGE'])
  })

  it.each([6, 0.3, 1.7, 20, 3.3, 5.3, 1e-3])('never lets codes reach beyond a Clip at %d', (limit) => {
    const b = new GraphBuilder(new Graph('g'))
    const x = b.input('x', tensorType('float32', [1, 1, 2, 2]))
    const conv = b.op('Conv', [x, b.constant('w', Tensor.float32([1, 1, 1, 1], [1]))], {}, { name: 'conv' })
    const scalar = (name: string, v: number) => b.constant(name, Tensor.float32([], [v]))
    const y = b.op('Clip', [conv, scalar('lo', 0), scalar('hi', limit)], {}, { name: 'clip', output: 'y' })
    // An observer may answer with more than there is.
    const { params } = quantized(finish(b, [y]), { x: { lo: -1, hi: 1 }, y: { lo: -0.1, hi: limit * 1.3 } })
    const { scale, zeroPoint } = params.get('y') as QuantParams
    expect(zeroPoint).toEqual([0])
    const top = Math.fround(255 * (scale[0] as number))
    expect(top).toBeLessThanOrEqual(Math.fround(limit))
    expect(top).toBeGreaterThan(limit * 0.99999)
  })

  it('joins the ranges of a group', () => {
    const b = new GraphBuilder(new Graph('g'))
    const x = b.input('x', tensorType('float32', [1, 2, 4, 4]))
    const w = (name: string, k = 2) => b.constant(name, Tensor.float32([2, k, 1, 1], new Float32Array(2 * k).fill(1)))
    const one = b.op('Conv', [x, w('w1')], {}, { name: 'one', output: 'a' })
    const pool = b.op('MaxPool', [one], { kernel_shape: attribute.ints([2, 2]) }, { name: 'pool', output: 'p' })
    const cat = b.op('Concat', [pool, pool], { axis: attribute.int(1) }, { name: 'cat', output: 'j' })
    const model = finish(b, [b.op('Conv', [cat, w('w2', 4)], {}, { name: 'two', output: 'y' })])
    const plan = planQuantization(model, onnxruntime, defaultOps)
    const chosen = ranges({ x: { lo: 0, hi: 1 }, a: { lo: -1, hi: 1 }, j: { lo: 0, hi: 4.1 }, y: { lo: 0, hi: 1 } })
    const params = resolveParams(model, plan, chosen, new Diagnostics())
    expect(params.get('a')?.scale[0]).toBeCloseTo(5.1 / 255, 7)
    expect(params.get('a')?.zeroPoint).toEqual([50])
  })

  it('names a tensor whose range is missing', () => {
    const model = gemm([1, 1, 1, 1, 1, 1], [0, 0, 0])
    const plan = planQuantization(model, onnxruntime, defaultOps)
    expect(() => resolveParams(model, plan, ranges({}), new Diagnostics())).toThrow(/PARAMS_MISSING.*"x"/)
  })
})
