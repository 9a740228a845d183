import { nodeEngine } from '@fewbit/engine-node'
import { memoryData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, serializeModel, Tensor } from '../ir/index.ts'
import { analyze } from './analyze.ts'

const engine = nodeEngine({ threads: 1 })

function model(opset: number, factor: number, n = 'N'): Model {
  // Squeeze takes its axes as an attribute before opset 13 and as an input from then on.
  const squeeze = opset < 13 ? 's = Squeeze<axes = [2]>(m)' : 's = Squeeze(m, axes)'
  const axes = opset < 13 ? '' : ', int64[1] axes = {2}'
  return parseModel(`<ir_version = 7, opset_import = ["": ${opset}]> g (float32[${n},2,1] x) => (float32[${n},2] y)
    <float32[] k = {${factor}}${axes}> { m = Mul(x, k) ${squeeze} y = Neg(s) }`)
}

const data = memoryData(
  [
    [1, -2],
    [3, 4],
    [-5, 6],
  ].map((row) => ({ x: Tensor.float32([1, 2, 1], row) })),
)

describe('analyze', () => {
  it.each([
    [11, 11],
    [11, 17],
    [17, 11],
    [17, 17],
  ])('compares a model of opset %i with one of opset %i', async (a, b) => {
    // c = 1.25·r everywhere: noise (0.25)² of the signal.
    const found = await analyze(model(a, 1), model(b, 1.25), { engine, data })
    expect(found.layers.map((l) => [l.value, l.opType])).toEqual([
      ['m', 'Mul'],
      ['s', 'Squeeze'],
      ['y', 'Neg'],
    ])
    for (const { sqnr, count, maxAbs } of found.layers) {
      expect(sqnr).toBeCloseTo(10 * Math.log10(16), 4)
      expect({ count, maxAbs }).toEqual({ count: 6, maxAbs: 1.5 })
    }
    expect(found).toMatchObject({ data: 'memory', samples: 3, synthetic: false })
  })

  it('finds the tensors of integer operators under the names that they have in float', async () => {
    // w = 0.5·w₀ by hand, so that c is half of the float one: noise a quarter of the signal, and x is on the grid.
    const float = parseModel(
      `<ir_version = 8, opset_import = ["": 17]> g (float32[N,2,1] x) => (float32[N,2,1] y) <float32[2,2] w = {4, 0, 0,
      4}> { m = MatMul(t, w) y = Neg(m) }`
        .replace('{ m =', '{ t = Transpose<perm = [0, 2, 1]>(x) m =')
        .replace('[N,2,1] y', '[N,1,2] y'),
    )
    const file =
      parseModel(`<ir_version = 8, opset_import = ["": 17]> g (float32[N,2,1] x) => (float32[N,1,2] y) <float32[] s = {0.0625}, uint8[] z
      = {128}, int8[2,2] w_quantized = {2, 0, 0, 2}, float32[] ws = {1}, int8[] wz = {0}, float32[] ms = {0.125}> {
      x_quantized = QuantizeLinear(x, s, z) t_quantized = Transpose<perm = [0, 2, 1]>(x_quantized)
      m_quantized = QLinearMatMul(t_quantized, s, z, w_quantized, ws, wz, ms, z)
      m = DequantizeLinear(m_quantized, ms, z) y = Neg(m) }`)
    const found = await analyze(float, file, { engine, data })
    expect(found.layers.map((l) => `${l.value} ${l.sqnr > 100 ? 'equal' : l.sqnr.toFixed(2)}`)).toEqual([
      't equal',
      'm 6.02',
      'y 6.02',
    ])
  })

  it('compares behind a Relu that the codes of the quantized network have taken over', async () => {
    const text = (head: string, body: string) =>
      parseModel(`<ir_version = 8, opset_import = ["": 17]> g (float32[N,2,1] x) =>
      (float32[N,2,1] y) <float32[] k = {1}${head}> { m = Mul(x, k) ${body} }`)
    const float = text('', 'r = Relu(m) y = Neg(r)')
    const file = text(', float32[] s = {0.5}', 'q = QuantizeLinear(m, s) d = DequantizeLinear(q, s) y = Neg(d)')
    // Before the Relu the two differ wherever x is negative.
    const found = await analyze(float, file, { engine, data })
    expect(found.layers.map((l) => `${l.value} ${l.opType} ${l.maxAbs}`)).toEqual(['r Relu 0', 'y Neg 0'])
  })

  it('leaves both models as they are', async () => {
    const models = [model(11, 1), model(17, 2)] as const
    const before = models.map((m) => [...serializeModel(m)])
    await analyze(...models, { engine, data })
    expect(models.map((m) => [...serializeModel(m)])).toEqual(before)
  })

  it('compares a fixed batch with an open one', async () => {
    const found = await analyze(model(17, 1, '1'), model(17, 1.25), { engine, data })
    expect(found.layers.map((l) => l.count)).toEqual([6, 6, 6])
  })

  it('says how many samples it took', async () => {
    const found = await analyze(model(17, 1), model(17, 1.25), { engine, data, samples: 2 })
    expect([found.samples, found.layers[0]?.count, found.worst.length]).toEqual([2, 4, 3])
  })

  it('refuses networks that have nothing in common', async () => {
    const other = parseModel(
      `<ir_version = 7, opset_import = ["": 17]> g (float32[N,2,1] x) => (float32[N,2,1] z) { z = Neg(x) }`,
    )
    await expect(analyze(model(17, 1), other, { engine, data })).rejects.toThrow(
      expect.objectContaining({ code: 'ANALYZE_NO_PAIRS' }),
    )
  })

  it('refuses networks whose inputs differ', async () => {
    const other = parseModel(
      `<ir_version = 7, opset_import = ["": 17]> g (float32[N,2,1] z) => (float32[N,2,1] m) { m = Neg(z) }`,
    )
    await expect(analyze(model(17, 1), other, { engine, data })).rejects.toThrow(
      expect.objectContaining({ code: 'ANALYZE_INPUTS' }),
    )
  })
})
