import { compileIntegers, IntegerSession, SCHEMES, type Scheme } from '@fewbit/core/integer'
import { type Attribute, attribute, Graph, GraphBuilder, Model, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { rng } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'

const engine = nodeEngine({ threads: 1 })
const { float } = attribute

interface Grids {
  readonly x: readonly [scale: number, zero: number]
  readonly y: readonly [scale: number, zero: number]
}

/** Odd scales, and powers of two, on which results of piecewise linear functions lie halfway between codes. */
function grids(count: number, seed: number): Grids[] {
  const r = rng(seed)
  const step = (): number => (r.int(2) === 0 ? 2 ** -(2 + r.int(5)) : Math.fround(0.003 + r.int(1000) / 1e4))
  return Array.from({ length: count }, () => ({ x: [step(), r.int(256) - 128], y: [step(), r.int(256) - 128] }))
}

const CODES = Array.from({ length: 256 }, (_, i) => i - 128)

type Operator = (b: GraphBuilder, x: Value) => Value

/** All codes of one channel through the operator, once for each pair of grids. */
function branches(operator: Operator, pairs: readonly Grids[], dims = [1, 1, 256]): Model {
  const b = new GraphBuilder(new Graph('tables'))
  const codes = b.input('x', tensorType('int8', dims))
  const parameters = ([scale, zero]: readonly [number, number]): Value[] => [
    b.constant('scale', Tensor.float32([], [scale])),
    b.constant('zero', Tensor.fromNumbers('int8', [], [zero])),
  ]
  pairs.forEach(({ x, y }, i) => {
    const result = operator(b, b.op('DequantizeLinear', [codes, ...parameters(x)]))
    const out = b.op('QuantizeLinear', [result, ...parameters(y)])
    out.name = `y${i}`
    b.output(out)
  })
  const model = new Model(b.graph)
  model.opsets.set('', 20)
  model.irVersion = 9
  return model
}

/** ONNX Runtime's float operators between its quantizers, and the network in whole numbers. */
async function expectSame(model: Model, scheme: Scheme, dims = [1, 1, 256]): Promise<void> {
  const rows = dims.reduce((n, d) => n * d, 1) / 256
  // Every code, and neighbours that are far apart.
  const mixed = CODES.map((_, i) => CODES[(i * 77) % 256] as number)
  const feeds = { x: Tensor.fromNumbers('int8', dims, Array(rows).fill(mixed).flat()) }
  const network = compileIntegers(model, scheme)
  expect(network.floats).toEqual([])
  const { outputs } = await (await IntegerSession.open(network, {})).run(feeds)
  const session = await engine.load(model, { optimization: 'simulate' })
  const want = await session.run(feeds)
  await session.release()
  expect(Object.keys(outputs)).toEqual(Object.keys(want))
  for (const [name, tensor] of Object.entries(want)) {
    expect({ [name]: [...(outputs[name]?.numbers() ?? [])] }).toEqual({ [name]: [...tensor.numbers()] })
  }
}

/** Half of the codes have no value there. */
const PARTIAL = /^(Sqrt|Log|Asin|Acos|Acosh|Atanh)$/
const types = [...defaultOps]
  // Swish came after opset 20.
  .filter(({ scalar, type }) => scalar && type !== 'Swish' && !PARTIAL.test(type))
  .map(({ type }) => type)

describe('operators of one operand are tables, equal to float operators between quantizers for every code', () => {
  it.each(types)('%s', async (type) => {
    await expectSame(
      branches((b, x) => b.op(type, [x]), grids(16, 3)),
      SCHEMES.ort,
    )
  })

  it.each(['Sqrt', 'Log'])('%s where it is defined', async (type) => {
    const positive = grids(16, 5).map(({ x, y }): Grids => ({ x: [x[0], -128], y }))
    await expectSame(
      branches((b, x) => b.op(type, [x]), positive),
      SCHEMES.ort,
    )
  })

  const cases: [string, Record<string, Attribute>][] = [
    ['LeakyRelu', { alpha: float(0.3) }],
    ['HardSigmoid', { alpha: float(0.21), beta: float(0.4) }],
    ['Elu', { alpha: float(0.6) }],
    ['Gelu', { approximate: attribute.string('tanh') }],
  ]

  it.each(cases)('%s with other attributes', async (type, attributes) => {
    await expectSame(
      branches((b, x) => b.op(type, [x], attributes), grids(24, 7)),
      SCHEMES.ort,
    )
  })
})

describe('pieces that are linear', () => {
  const bound = (b: GraphBuilder, value: number): Value => b.constant('bound', Tensor.float32([], [value]))

  it.each(['ort', 'pot-half-even'] as const)('Relu and Clip cut where zero is within the codes (%s)', async (name) => {
    const even = grids(12, 9).map(({ x, y }): Grids => {
      // Shifts take powers of two only.
      const power = (step: number): number => 2 ** Math.round(Math.log2(step))
      return name === 'ort' ? { x, y } : { x: [power(x[0]), x[1]], y: [power(y[0]), y[1]] }
    })
    const scheme = SCHEMES[name]
    await expectSame(
      branches((b, x) => b.op('Relu', [x]), even),
      scheme,
    )
    const clip: Operator = (b, x) => b.op('Clip', [x, bound(b, -0.3), bound(b, 0.7)])
    await expectSame(branches(clip, even), scheme)
    await expectSame(
      branches((b, x) => b.op('Relu', [clip(b, x)]), even),
      scheme,
    )
  })

  it('PRelu with a slope for each channel', async () => {
    const dims = [1, 3, 256]
    const slopes = (b: GraphBuilder): Value => b.constant('slope', Tensor.float32([3, 1], [0.25, -0.5, 1.7]))
    const model = branches((b, x) => b.op('PRelu', [x, slopes(b)]), grids(12, 11), dims)
    await expectSame(model, SCHEMES.ort, dims)
  })
})

describe('Softmax of arithmetics without a kernel of their own', () => {
  it.each([1, 2])('is its definition, over axis %i', async (axis) => {
    const dims = [1, 32, 8]
    // Rows of probabilities that take many codes.
    const pairs = [1, 2, 3, 4, 5].map((i): Grids => ({ x: [0.004 * i * i, 3 * i], y: [0.9 ** i / 256, -128 + i] }))
    const model = branches((b, x) => b.op('Softmax', [x], { axis: attribute.int(axis) }), pairs, dims)
    // Its quantizers round as ONNX Runtime's do.
    await expectSame(model, SCHEMES['pot-half-even'], dims)
  })
})
