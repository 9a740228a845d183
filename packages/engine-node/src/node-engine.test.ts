import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { evaluateModel, probeModel, type Session } from '@fewbit/core/engine'
import { attribute, Graph, Model, Node, serializeModel, Tensor, tensorType, Value } from '@fewbit/core/ir'
import { type DType, dtypeToOnnx, encodeUtf8, type FewbitError } from '@fewbit/core/util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeEngine } from './node-engine.ts'

const engine = nodeEngine({ threads: 1 })

/** One node from `x` to `y`. */
function unary(
  opType: string,
  from: DType,
  to: DType,
  attributes: [string, attribute.Attribute][] = [],
  typed = true,
): Model {
  const graph = new Graph()
  const x = new Value('x', tensorType(from, ['N', 2]))
  const y = new Value('y', typed ? tensorType(to, ['N', 2]) : undefined)
  graph.inputs.push(x)
  graph.outputs.push(y)
  graph.add(new Node({ opType, inputs: [x], outputs: [y], attributes }))
  const model = new Model(graph)
  model.opsets.set('', 21)
  return model
}

const cast = (to: DType, typed = true): Model =>
  unary('Cast', 'float32', to, [['to', attribute.int(dtypeToOnnx(to))]], typed)

async function withSession<T>(model: Model, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await engine.load(serializeModel(model))
  try {
    return await use(session)
  } finally {
    await session.release()
  }
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (e: FewbitError) => e.code,
  )

describe('nodeEngine', () => {
  it.each([
    ['float32', Float32Array.of(1.5, -2)],
    ['float64', Float64Array.of(1.5, -2)],
    ['float16', Uint16Array.of(0x3e00, 0xc000)],
    ['uint8', Uint8Array.of(1, 255)],
    ['int8', Int8Array.of(1, -128)],
    ['uint16', Uint16Array.of(1, 65535)],
    ['int16', Int16Array.of(1, -32768)],
    ['int32', Int32Array.of(1, -2147483648)],
    ['uint32', Uint32Array.of(1, 4294967295)],
    ['int64', BigInt64Array.of(1n, -(2n ** 63n))],
    ['uint64', BigUint64Array.of(1n, 2n ** 64n - 1n)],
    ['bool', Uint8Array.of(1, 0)],
  ] as const)('passes %s through unchanged', async (dtype, data) => {
    const x = Tensor.fromStorage(dtype, [1, 2], data)
    const { y } = await withSession(unary('Identity', dtype, dtype), (session) => session.run({ x }))
    expect(y).toMatchObject({ dtype, dims: [1, 2] })
    expect(y?.storage()).toEqual(data)
  })

  it('passes strings, and views that are not aligned', async () => {
    const strings = Tensor.strings([1, 2], ['a', 'é'].map(encodeUtf8))
    const text = await withSession(unary('Identity', 'string', 'string'), (s) => s.run({ x: strings }))
    expect(text.y?.stringBytes()).toEqual(strings.stringBytes())
    const bytes = new Uint8Array(9)
    bytes.set(new Uint8Array(Float32Array.of(3, 4).buffer), 1)
    const odd = Tensor.fromBytes('float32', [1, 2], bytes.subarray(1))
    const { y } = await withSession(unary('Neg', 'float32', 'float32'), (s) => s.run({ x: odd }))
    expect(Array.from(y?.numbers() ?? [])).toEqual([-3, -4])
  })

  it.each(['int4', 'uint4', 'int2', 'float8e4m3fn', 'bfloat16'] as const)(
    'refuses an output of type %s, declared or inferred, and lives on',
    async (dtype) => {
      expect(await codeOf(engine.load(serializeModel(cast(dtype))))).toBe('ENGINE_UNSUPPORTED')
      expect(await codeOf(engine.load(serializeModel(cast(dtype, false))))).toBe('ENGINE_UNSUPPORTED')
      expect(await codeOf(evaluateModel(engine, cast(dtype)))).toBe('ENGINE_UNSUPPORTED')
    },
  )

  it('says what the model takes and what it was given', async () => {
    const wrong = withSession(unary('Relu', 'float32', 'float32'), (s) => s.run({ x: Tensor.float32([3], [1, 2, 3]) }))
    await expect(wrong).rejects.toThrow(/ENGINE_RUN[\s\S]*takes x float32\[N,2\][\s\S]*given x float32\[3\]/)
    expect(await codeOf(engine.load(new Uint8Array([1, 2, 3])))).toBe('ENGINE_LOAD')
    expect(await codeOf(engine.load({ path: 'no-such-model.onnx' }))).toBe('ENGINE_LOAD')
  })

  it('evaluates a model without inputs', async () => {
    const graph = new Graph()
    const a = graph.addInitializer('a', Tensor.float32([2], [1, 2]))
    const y = new Value('y', tensorType('float32', [2]))
    graph.add(new Node({ opType: 'Add', inputs: [a, a], outputs: [y] }))
    graph.outputs.push(y)
    const model = new Model(graph)
    model.opsets.set('', 17)
    expect(Array.from((await evaluateModel(engine, model)).y?.numbers() ?? [])).toEqual([2, 4])
  })

  it('exposes intermediates without changing the model', async () => {
    const model = unary('Relu', 'float32', 'float32')
    const [y] = model.graph.outputs
    const z = new Value('z', tensorType('float32', ['N', 2]))
    model.graph.add(new Node({ opType: 'Neg', inputs: [y as Value], outputs: [z] }))
    model.graph.outputs.splice(0, 1, z)
    const run = await withSession(probeModel(model, ['y']), (s) => s.run({ x: Tensor.float32([1, 2], [-1, 2]) }))
    expect(Array.from(run.y?.numbers() ?? [])).toEqual([0, 2])
    expect(model.graph.outputs.map((v) => v.name)).toEqual(['z'])
    expect(() => probeModel(model, ['nothing'])).toThrow(/PROBE_MISSING/)
    z.type = tensorType('int4', ['N', 2])
    expect(() => probeModel(model, ['z'])).toThrow(/ENGINE_UNSUPPORTED/)
  })
})

describe('optimization', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fewbit-engine-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Quantize → dequantize → MatMul with an int8 weight → quantize → dequantize. */
  function quantized(): Model {
    const graph = new Graph()
    const scale = graph.addInitializer('s', Tensor.float32([], [0.1]))
    const zero = graph.addInitializer('z', Tensor.fromStorage('uint8', [], Uint8Array.of(128)))
    const weight = graph.addInitializer('w', Tensor.fromStorage('int8', [2, 2], Int8Array.of(1, 2, 3, 4)))
    const weightZero = graph.addInitializer('wz', Tensor.fromStorage('int8', [], Int8Array.of(0)))
    let value = new Value('x', tensorType('float32', ['N', 2]))
    graph.inputs.push(value)
    const step = (opType: string, ...rest: Value[]): Value => {
      const out = new Value(`${opType}${graph.nodes.length}`)
      graph.add(new Node({ opType, inputs: [value, ...rest], outputs: [out] }))
      return out
    }
    value = step('QuantizeLinear', scale, zero)
    value = step('DequantizeLinear', scale, zero)
    const w = new Value('wd')
    graph.add(new Node({ opType: 'DequantizeLinear', inputs: [weight, scale, weightZero], outputs: [w] }))
    value = step('MatMul', w)
    value = step('QuantizeLinear', scale, zero)
    value = step('DequantizeLinear', scale, zero)
    value.type = tensorType('float32', ['N', 2])
    graph.outputs.push(value)
    const model = new Model(graph)
    model.opsets.set('', 17)
    return model
  }

  it.each([
    ['all', true],
    ['simulate', false],
    ['none', false],
  ] as const)('%s: integer kernel %s', async (optimization, fused) => {
    const saveOptimized = join(folder, `${optimization}.onnx`)
    const session = await engine.load(serializeModel(quantized()), { optimization, saveOptimized, arena: false })
    await session.release()
    expect((await readFile(saveOptimized, 'latin1')).includes('QLinearMatMul')).toBe(fused)
  })
})
