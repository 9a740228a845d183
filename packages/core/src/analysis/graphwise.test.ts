import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Dataset, probeModel } from '../engine/index.ts'
import { type Model, parseModel, serializeModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { type GraphwiseOptions, graphwiseError, type LayerError, worstLayers } from './graphwise.ts'
import { ErrorAccumulator } from './metrics.ts'
import { pairValues } from './pairs.ts'

const engine = nodeEngine({ threads: 1 })

function model(text: string, opset = 17): Model {
  const parsed = parseModel(`<ir_version = 8, opset_import = ["": ${opset}]> ${text}`)
  inferShapes(parsed, { ops: defaultOps })
  return parsed
}

const errorsOf = (a: Model, b: Model, data: Dataset, options: Partial<GraphwiseOptions> = {}): Promise<LayerError[]> =>
  graphwiseError(a, b, { engine, ops: defaultOps, data, ...options })

const FLOAT = `m (float32[N,3] x) => (float32[N,3] y) <float32[] two = {2}, float32[] one = {1}> {
  a = Mul(x, two) r = Relu(a) y = Sub(r, one) }`
/** `a` times 2.5 instead of 2, `r` on a grid of 0.5 from 0 to 127.5. */
const QUANTIZED = `m (float32[N,3] x) => (float32[N,3] y)
  <float32[] two = {2.5}, float32[] one = {1}, float32[] s = {0.5}, uint8[] z = {0}> {
  a = Mul(x, two) r = Relu(a) q = QuantizeLinear(r, s, z) d = DequantizeLinear(q, s, z) y = Sub(d, one) }`

const rows = (...values: number[][]): Dataset =>
  memoryData(values.map((row) => ({ x: Tensor.float32([1, row.length], row) })))

describe('graphwiseError', () => {
  it('does not believe that an enlarged picture has the size of the picture', async () => {
    // Exporters name the axes of inputs and outputs alike. ONNX Runtime would put y into the memory of a tensor of x's size.
    const reference = model(`m (float32[N,C,H,W] x) => (float32[N,C,H,W] y) <int64[4] n = {1, 1, 2, 2}> {
      y = Tile(x, n) }`)
    const candidate = model(`m (float32[N,C,H,W] x) => (float32[N,C,H,W] y) 
      <float32[] two = {2}, int64[] axis = {2}, int64[4] n = {1, 1, 2, 2}> {
      a = Mul(x, two) b = CumSum(a, axis) c = CumSum(b, axis) d = CumSum(c, axis) y = Tile(d, n) }`)
    const pictures = memoryData([{ x: Tensor.float32([1, 4, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8]) }])
    const errors = await errorsOf(reference, candidate, pictures)
    // H is 1, so that sums along it are the elements: e = y − 2y.
    expect(errors.find(({ value }) => value === 'y')).toMatchObject({ count: 32, sqnr: 0 })
  })

  it('compares what readers see, the dequantized tensor, with the float one', async () => {
    // r = 2x: 2, 0, 6 and 8, 0.4, 0. d = 0.5 · round(5x): 2.5, 0, 7.5 and 10, 0.5, 0.
    const [r, y, ...more] = await errorsOf(model(FLOAT), model(QUANTIZED), rows([1, -1, 3], [4, 0.2, -2]))
    expect(more).toEqual([])
    const noise = 0.5 ** 2 + 1.5 ** 2 + 2 ** 2 + 0.1 ** 2
    const signal = 2 ** 2 + 6 ** 2 + 8 ** 2 + 0.4 ** 2
    expect(r).toMatchObject({ value: 'r', opType: 'Relu', count: 6 })
    expect(r?.sqnr).toBeCloseTo(10 * Math.log10(signal / noise), 4)
    expect(r?.mse).toBeCloseTo(noise / 6, 5)
    expect(r?.maxAbs).toBeCloseTo(2, 5)
    // Subtracting one moves both alike: the same noise against 1, −1, 5, 7, −0.6, −1.
    expect(y?.value).toBe('y')
    expect(y?.mse).toBeCloseTo(noise / 6, 5)
    expect(y?.sqnr).toBeCloseTo(10 * Math.log10((1 + 1 + 25 + 49 + 0.36 + 1) / noise), 4)
  })

  it('gives the same in batches of any size', async () => {
    const data = memoryData(normalData({ x: [1, 3] }, 7))
    const [one, three] = [1, 3].map((batchSize) => errorsOf(model(FLOAT), model(QUANTIZED), data, { batchSize }))
    for (const [i, layer] of ((await one) ?? []).entries()) {
      const other = (await three)?.[i]
      expect(other?.count).toBe(21)
      // Sums of float32 in another order.
      expect(other?.sqnr).toBeCloseTo(layer.sqnr, 3)
      expect(other?.maxAbs).toBe(layer.maxAbs)
    }
  })

  it('equals errors computed outside of the engine from intermediates', async () => {
    const [a, b] = [model(CNN('')), model(CNN(QDQ))]
    const feeds = normalData({ x: [1, 2, 5, 5] }, 3)
    const found = await errorsOf(a, b, memoryData(feeds))
    expect(found.map((layer) => layer.value)).toEqual(['r1', 'p', 'c2', 'y'])
    const seen = ['r1_d', 'p_d', 'c2', 'y']
    for (const [i, layer] of found.entries()) {
      const expected = new ErrorAccumulator()
      for (const sample of feeds) {
        const reference = await numbersOf(a, layer.value, sample)
        expected.add(reference, await numbersOf(b, seen[i] as string, sample))
      }
      const { sqnr, cosine, mse, maxAbs, count } = expected.result()
      expect(layer.count).toBe(count)
      // The engine sums squares of up to 75 elements in float32: relative errors below 75 · 2^-24 in each sum.
      expect(layer.sqnr).toBeCloseTo(sqnr, 3)
      expect(layer.cosine).toBeCloseTo(cosine, 5)
      expect(layer.mse / mse).toBeCloseTo(1, 4)
      expect(layer.maxAbs / maxAbs).toBeCloseTo(1, 5)
    }
  })

  it('serves a model with a fixed batch, one sample and several', async () => {
    const fixed = (text: string, n: number) => model(text.replaceAll('float32[N,3]', `float32[${n},3]`))
    const data = rows([1, -1, 3], [4, 0.2, -2])
    const open = await errorsOf(model(FLOAT), model(QUANTIZED), data)
    for (const n of [1, 2]) {
      const found = await errorsOf(fixed(FLOAT, n), fixed(QUANTIZED, n), data)
      expect(found.map((l) => l.mse)).toEqual(open.map((l) => expect.closeTo(l.mse, 5)))
    }
  })

  it('leaves both models as they are', async () => {
    const [a, b] = [model(FLOAT), model(QUANTIZED)]
    const before = [a, b].map((m) => [...serializeModel(m)])
    await errorsOf(a, b, rows([1, 2, 3]))
    expect([a, b].map((m) => [...serializeModel(m)])).toEqual(before)
  })

  it('takes at most the samples asked for and reports progress towards that number', async () => {
    const steps: (readonly [number, number | undefined])[] = []
    const onProgress = (done: number, total: number | undefined) => steps.push([done, total])
    const data = memoryData(normalData({ x: [1, 3] }, 9))
    const [r] = await errorsOf(model(FLOAT), model(QUANTIZED), data, { limit: 5, batchSize: 2, onProgress })
    expect(r?.count).toBe(15)
    expect(steps).toEqual([
      [2, 5],
      [4, 5],
      [5, 5],
    ])
  })

  it('releases its session when the data fail', async () => {
    let open = 0
    const counting = {
      ...engine,
      load: async (...args: Parameters<typeof engine.load>) => {
        open++
        const session = await engine.load(...args)
        return { ...session, run: session.run.bind(session), release: () => session.release().finally(() => open--) }
      },
    }
    const failing = { ...rows([1, 2, 3]), samples: () => failingSamples() }
    await expect(errorsOf(model(FLOAT), model(QUANTIZED), failing, { engine: counting })).rejects.toThrow('unreadable')
    expect(open).toBe(0)
  })

  it('refuses models with other inputs', async () => {
    const other = model('m (float32[N,3] z) => (float32[N,3] y) { y = Neg(z) }')
    const refused = errorsOf(model(FLOAT), other, rows([1, 2, 3]))
    await expect(refused).rejects.toThrow(/ANALYZE_INPUTS.*takes an input "z", the first one takes x/)
  })

  it('refuses models without a tensor in common', async () => {
    const other = model('m (float32[N,3] x) => (float32[N,3] z) { z = Neg(x) }')
    const refused = errorsOf(model(FLOAT), other, rows([1, 2, 3]))
    await expect(refused).rejects.toThrow(expect.objectContaining({ code: 'ANALYZE_NO_PAIRS' }))
  })
})

// biome-ignore lint/correctness/useYield: it fails before its first sample
async function* failingSamples() {
  throw new Error('unreadable')
}

/** Conv, Relu, MaxPool, Conv, Add; with quantizers behind Relu and MaxPool if they are given. */
const CNN = (quantizers: string): string => `m (float32[N,2,5,5] x) => (float32[N,2,3,3] y)
  <float32[2,2,1,1] w1 = {0.5, -0.25, 1, 0.75}, float32[2,2,1,1] w2 = {-1, 0.5, 0.3, 2}, float32[] k = {0.1},
   float32[] s = {0.0625}, uint8[] z = {0}> {
  c1 = Conv(x, w1) r1 = Relu(c1) ${quantizers}
  p = MaxPool<kernel_shape = [3, 3]>(${quantizers ? 'r1_d' : 'r1'})
  ${quantizers.replaceAll('r1', 'p')} c2 = Conv(${quantizers ? 'p_d' : 'p'}, w2) y = Add(c2, k) }`
const QDQ = 'r1_q = QuantizeLinear(r1, s, z) r1_d = DequantizeLinear(r1_q, s, z)'

async function numbersOf(m: Model, name: string, feeds: Parameters<typeof run>[1]): Promise<Float32Array> {
  return (await run(probeModel(m, [name]), feeds))[name]?.numbers() as Float32Array
}

async function run(m: Model, feeds: Readonly<Record<string, Tensor>>) {
  const session = await engine.load(serializeModel(m), { optimization: 'none' })
  return session.run(feeds).finally(() => session.release())
}

describe('pairValues', () => {
  const names = (a: string, b: string): string[] => pairValues(model(a), model(b), defaultOps).map((p) => p.name)

  it('goes through a quantizer to the dequantized tensor', () => {
    const pairs = pairValues(model(FLOAT), model(QUANTIZED), defaultOps)
    expect(pairs.map((p) => [p.name, p.node.opType, p.candidate.name])).toEqual([
      ['r', 'Relu', 'd'],
      ['y', 'Sub', 'y'],
    ])
  })

  it('leaves out what a kernel absorbs, unless something else reads it too', () => {
    expect(names(FLOAT, FLOAT)).toEqual(['r', 'y'])
    const both = FLOAT.replace('y = Sub(r, one)', 'b = Add(r, a) y = Sub(b, one)')
    expect(names(both, both)).toEqual(['a', 'r', 'b', 'y'])
  })

  it('keeps a tensor that is a graph output although a Relu reads it', () => {
    const text = FLOAT.replace('=> (float32[N,3] y)', '=> (float32[N,3] y, float32[N,3] a)')
    expect(names(text, text)).toEqual(['a', 'r', 'y'])
  })

  it('leaves out names that one model lacks, does not compute, or gives another shape', () => {
    expect(names(FLOAT, FLOAT.replaceAll('r ', 'relu ').replace('(r,', '(relu,'))).toEqual(['y'])
    expect(names(FLOAT, 'm (float32[N,3] x, float32[N,3] r) => (float32[N,3] y) { y = Neg(r) }')).toEqual(['y'])
    const wide = 'm (float32[N,3] x) => (float32[N,6] y) { r = Neg(x) y = Concat<axis = 1>(r, r) }'
    expect(names(FLOAT, wide)).toEqual(['r'])
  })

  it('leaves out integers', () => {
    const text = 'm (float32[N,3] x) => (float32[N,3] y) { s = Shape(x) y = Reshape(x, s) }'
    expect(names(text, text)).toEqual(['y'])
  })
})

describe('worstLayers', () => {
  const layer = (value: string, sqnr: number): LayerError => ({
    value,
    node: value,
    opType: 'Conv',
    sqnr,
    cosine: 1,
    mse: 0,
    maxAbs: 0,
    count: 1,
  })

  it('takes the lowest SQNR first, NaN before everything and exact layers last', () => {
    const errors = [layer('exact', Infinity), layer('a', 30), layer('b', -3), layer('nan', NaN), layer('c', 12)]
    expect(worstLayers(errors).map((l) => l.value)).toEqual(['nan', 'b', 'c', 'a', 'exact'])
    expect(worstLayers(errors, 2).map((l) => l.value)).toEqual(['nan', 'b'])
    expect(errors[0]?.value).toBe('exact')
  })

  it('keeps graph order among equals', () => {
    expect(worstLayers([layer('a', Infinity), layer('b', Infinity), layer('c', 5)]).map((l) => l.value)).toEqual([
      'c',
      'a',
      'b',
    ])
  })
})
