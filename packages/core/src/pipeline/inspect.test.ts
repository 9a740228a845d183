import { fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { parseModel, serializeModel, Tensor } from '../ir/index.ts'
import { inspect } from './inspect.ts'

const parse = (text: string, opsets = '"": 17') => parseModel(`<ir_version = 8, opset_import = [${opsets}]> ${text}`)

describe('inspect', () => {
  it('counts what a model holds', async () => {
    const model = fixture('convolutional')
    model.producerName = 'exporter'
    model.producerVersion = '2.1'
    model.metadata.set('author', 'somebody')
    const found = await inspect(model)
    expect(found).toMatchObject({
      producer: 'exporter 2.1',
      irVersion: 8,
      opsets: { 'ai.onnx': 17 },
      nodes: 7,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 3, 8, 8] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['N', 5] }],
      dynamicDims: ['x[0] = N'],
      unsupported: [],
      quantizers: 0,
      metadata: { author: 'somebody' },
      diagnostics: [],
      macsUnknown: [],
    })
    // Weights 6·27 and 5·6, four vectors of 6 for the norm, one of 5 for the bias.
    expect(found.parameters).toBe(6 * 27 + 5 * 6 + 4 * 6 + 5)
    expect(found.constantBytes).toBe(4 * found.parameters)
    expect(found.macs).toBe(64 * 6 * 27 + 5 * 6)
    expect(JSON.parse(JSON.stringify(found))).toEqual(found)
  })

  it('counts operators of nested graphs, most frequent first', async () => {
    const model = parse(`m (bool c, float32[2] x) => (float32[2] y) {
      r = Relu(x) y = If<then_branch = graph t () => (a) { s = Relu(r) a = Relu(s) },
                         else_branch = graph e () => (b) { b = Neg(r) }>(c) }`)
    const found = await inspect(model)
    expect(found.nodes).toBe(5)
    expect(Object.entries(found.operators)).toEqual([
      ['Relu', 3],
      ['If', 1],
      ['Neg', 1],
    ])
  })

  it('names operators that nobody defines, and counts quantizers', async () => {
    const model = parse(
      `m (float32[2] x) => (float32[2] y) <float32[] s = {0.5}, uint8[] z = {0}> {
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) e = my.domain::Strange(d) y = Unheard(e) }`,
      '"": 17, "my.domain": 1',
    )
    const found = await inspect(model)
    expect(found.unsupported).toEqual(['my.domain::Strange', 'Unheard'])
    expect(found.quantizers).toBe(2)
  })

  it('warns of operators that the opset does not have yet', async () => {
    const found = await inspect(parse('m (float32[2] x) => (float32[2] y) { m = Mish(x) y = Mish(m) }', '"": 17'))
    expect(found.diagnostics).toMatchObject([{ code: 'OPSET_TOO_OLD', level: 'warning' }])
    expect(found.diagnostics[0]?.message).toBe("Mish does not exist in the model's opset; 2 nodes use it")
  })

  it('shows open dimensions, named and unnamed', async () => {
    const found = await inspect(parse('m (float32[N,3,?,W] x, float32[2] z) => (y) { y = Relu(x) }'))
    expect(found.dynamicDims).toEqual(['x[0] = N', 'x[2] = ?', 'x[3] = W'])
  })

  it('does not read weights', async () => {
    const model = fixture('convolutional')
    const untouchable = (dims: readonly number[]) =>
      new Tensor('float32', dims, {
        byteLength: 4 * dims.reduce((n, d) => n * d, 1),
        read: () => {
          throw new Error('a weight was read')
        },
      })
    for (const value of model.graph.initializers) value.constant = untouchable(value.constant?.dims ?? [])
    const found = await inspect(model)
    expect(found.macs).toBe(64 * 6 * 27 + 5 * 6)
    expect(found.constantBytes).toBe(4 * found.parameters)
  })

  it('leaves the model as it is', async () => {
    const model = fixture('squeeze-excite')
    const bytes = serializeModel(model)
    await inspect(model)
    expect(Buffer.compare(serializeModel(model), bytes)).toBe(0)
  })
})
