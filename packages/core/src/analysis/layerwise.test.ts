import { nodeEngine } from '@fewbit/engine-node'
import { type FixtureName, fixture, memoryData, normalData, quantizedNetwork } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Dataset, Feeds, LoadOptions } from '../engine/index.ts'
import { cloneModel, type Model, serializeModel, Tensor, valuesByName } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { fakeQuantize, materialize, type QuantPlan } from '../quant/index.ts'
import { layerwiseError, partsError, variantOf } from './layerwise.ts'
import { ErrorAccumulator } from './metrics.ts'
import { partOfPlan, quantLayers } from './quant-layers.ts'
import { variantErrors } from './variant-errors.ts'

const engine = nodeEngine({ threads: 1 })
const SIMULATE: LoadOptions = { optimization: 'simulate' }

const quantized = (model: Model, data: Dataset, target?: 'ncnn') => quantizedNetwork(model, engine, data, target)

async function outputs(model: Model, feeds: readonly Feeds[], load: LoadOptions): Promise<Feeds[]> {
  const session = await engine.load(serializeModel(model), load)
  const found: Feeds[] = []
  for (const sample of feeds) found.push(await session.run(sample))
  await session.release()
  return found
}

/** The plain way: one whole network after the other, and the error in JavaScript. */
async function plainError(float: Model, variant: Model, feeds: readonly Feeds[], load: LoadOptions) {
  const [before, after] = [await outputs(float, feeds, load), await outputs(variant, feeds, load)]
  const error = new ErrorAccumulator()
  before.forEach((reference, i) => {
    for (const [name, tensor] of Object.entries(reference))
      error.add(tensor.numbers(), after[i]?.[name]?.numbers() ?? [])
  })
  return error.result()
}

const INPUTS: readonly (readonly [FixtureName, readonly number[]])[] = [
  ['residual', [1, 4, 8, 8]],
  ['branches', [1, 4, 8, 8]],
  ['attention', [1, 6, 8]],
  ['convolutional', [1, 3, 8, 8]],
]

describe('layerwiseError', () => {
  it.each(INPUTS)('equals quantizing one layer of %s and running the whole network', async (name, shape) => {
    const feeds = normalData({ x: shape }, 4)
    const data = memoryData(feeds)
    const network = await quantized(fixture(name), data)
    const load: LoadOptions = {}
    const found = await layerwiseError(network, { engine, data, ops: defaultOps, batchSize: 2, load, split: true })
    expect(found.length).toBeGreaterThan(1)
    for (const { layer, isolated, weightsOnly, activationsOnly } of found) {
      for (const [parts, error, how] of [
        ['all', isolated, load],
        ['weights', weightsOnly, SIMULATE],
        ['activations', activationsOnly, SIMULATE],
      ] as const) {
        const plain = await plainError(network.float, variantOf(network, parts, layer), feeds, how)
        const where = `${layer.node} ${parts}`
        // Sums of squares in float32, and convolutions that add in another order beside others: at most 2^-20 of the signal.
        if (plain.sqnr < 100) expect(error?.sqnr, where).toBeCloseTo(plain.sqnr, 1)
        else expect(error?.sqnr, where).toBeGreaterThan(100)
        expect(error?.count, where).toBe(plain.count)
      }
    }
  })

  it('gives the same in one graph for all layers and in one for each', async () => {
    const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 3))
    const network = await quantized(fixture('residual'), data)
    const common = { engine, data, ops: defaultOps }
    const [together, alone] = [
      await layerwiseError(network, common),
      await layerwiseError(network, { ...common, nodes: 1 }),
    ]
    expect(together.length).toBe(4)
    together.forEach((error, i) => {
      expect(error.isolated.sqnr).toBeCloseTo(alone[i]?.isolated.sqnr as number, 3)
    })
  })

  it('is of a backend that is only simulated, too', async () => {
    const feeds = normalData({ x: [1, 4, 8, 8] }, 3)
    const network = await quantized(fixture('residual'), memoryData(feeds), 'ncnn')
    const found = await layerwiseError(network, { engine, data: memoryData(feeds), ops: defaultOps, load: SIMULATE })
    expect(found.length).toBeGreaterThan(1)
    for (const { layer, isolated } of found) {
      const plain = await plainError(network.float, variantOf(network, 'all', layer), feeds, SIMULATE)
      expect(isolated.sqnr).toBeCloseTo(plain.sqnr, 2)
    }
  })

  it('takes the weights that an algorithm has chosen for the layer in question, and trained ones everywhere else', async () => {
    const feeds = normalData({ x: [1, 4, 8, 8] }, 3)
    const network = await quantized(fixture('residual'), memoryData(feeds))
    const adjusted = cloneModel(network.float)
    const [first] = adjusted.graph.nodes
    const weight = first?.inputs[1]
    if (weight?.constant)
      weight.constant = Tensor.float32(
        weight.constant.dims,
        weight.constant.numbers().map((w) => w / 2),
      )
    const options = { engine, data: memoryData(feeds), ops: defaultOps }
    const [plain, halved] = [
      await layerwiseError(network, options),
      await layerwiseError({ ...network, adjusted }, options),
    ]
    expect(halved[0]?.isolated.sqnr).toBeLessThan((plain[0]?.isolated.sqnr as number) - 10)
    expect(halved.slice(1).map((e) => e.isolated.sqnr)).toEqual(
      plain.slice(1).map((e) => expect.closeTo(e.isolated.sqnr, 3)),
    )
  })

  it('leaves the network as it is', async () => {
    const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 2))
    const network = await quantized(fixture('residual'), data)
    const before = [...serializeModel(network.float)]
    await layerwiseError(network, { engine, data, ops: defaultOps })
    expect([...serializeModel(network.float)]).toEqual(before)
  })
})

describe('partsError', () => {
  it('is of networks with weights or activations quantized only', async () => {
    const feeds = normalData({ x: [1, 4, 8, 8] }, 4)
    const network = await quantized(fixture('residual'), memoryData(feeds))
    const found = await partsError(network, { engine, data: memoryData(feeds), ops: defaultOps })
    const { float, plan, params } = network
    const activations = { ...plan, tensors: plan.tensors.filter((t) => t.role === 'activation') }
    const rest = await plainError(float, materialize(cloneModel(float), activations, params), feeds, SIMULATE)
    expect(found.activationsOnly.sqnr).toBeCloseTo(rest.sqnr, 1)
    // The weights by the scalar reference instead of the graph.
    const weights = cloneModel(float)
    const values = valuesByName(weights.graph)
    for (const { value, role, group } of plan.tensors) {
      const [found, p] = [values.get(value), params.get(group)]
      if (role === 'activation' || !found?.constant || !p) continue
      const { dims } = found.constant
      found.constant = Tensor.float32(dims, fakeQuantize(found.constant.numbers(), p, [...dims]))
    }
    const rounded = await plainError(float, weights, feeds, SIMULATE)
    expect(found.weightsOnly.sqnr).toBeCloseTo(rounded.sqnr, 1)
    expect(rounded.sqnr).not.toBeCloseTo(rest.sqnr, 0)
  })
})

describe('variantErrors', () => {
  it.each([
    ['convolutional', [1, 3, 8, 8], false],
    ['perceptron', [1, 16], true],
  ] as const)(
    'measures the divergence of the classes of %s, of scores as of probabilities',
    async (name, shape, areShares) => {
      const feeds = normalData({ x: shape }, 5)
      const network = await quantized(fixture(name), memoryData(feeds))
      const { float } = network
      const whole = () => variantOf(network, 'all')
      const [found] = await variantErrors(float, [whole], {
        engine,
        data: memoryData(feeds),
        ops: defaultOps,
        batchSize: 2,
      })
      const before = await outputs(float, feeds, {})
      const after = await outputs(whole(), feeds, {})
      const shares = (scores: ArrayLike<number>) => {
        const exps = Array.from(scores, (x) => (areShares ? x : Math.exp(x)))
        const sum = exps.reduce((a, b) => a + b)
        return exps.map((e) => e / sum)
      }
      const divergences = before.map(({ y }, i) => {
        const [p, q] = [shares(y?.numbers() ?? []), shares(after[i]?.y?.numbers() ?? [])]
        return p.reduce((sum, x, c) => sum + x * Math.log(x / (q[c] as number)), 0)
      })
      const mean = divergences.reduce((a, b) => a + b) / divergences.length
      expect(mean).toBeGreaterThan(0)
      // Differences of float32 logarithms, each rounded at 2^-24 of about 1.
      expect(found?.all.kl).toBeCloseTo(mean, 6)
    },
  )

  it('knows no classes in pictures', async () => {
    const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 1))
    const network = await quantized(fixture('residual'), data)
    const [found] = await variantErrors(network.float, [() => variantOf(network, 'all')], {
      engine,
      data,
      ops: defaultOps,
    })
    expect(found?.all).not.toHaveProperty('kl')
  })
})

describe('partOfPlan', () => {
  it('cuts a plan down to what a layer reads, for it alone, and what it makes, for everybody', async () => {
    const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 1))
    const { float, plan } = await quantized(fixture('residual'), data)
    const layers = quantLayers(float, plan, defaultOps)
    const [c1, c2, s] = layers
    expect(layers.map((l) => `${l.opType} ${[...l.makes]}`)).toEqual(['Conv c1,r1', 'Conv c2', 'Add s,r2', 'Conv y'])
    const summary = (part: QuantPlan) => part.tensors.map((t) => `${t.role} ${t.value} > ${t.readers}`)
    const [n1, n2, n3] = layers.map((l) => l.node)
    // r1 is read by the second convolution and the addition.
    expect(summary(partOfPlan(plan, 'all', c1))).toEqual(
      expect.arrayContaining([
        `activation x > ${n1}`,
        `weight w1 > ${n1}`,
        `bias b1 > ${n1}`,
        `activation r1 > ${n2},${n3}`,
      ]),
    )
    expect(summary(partOfPlan(plan, 'activations', c2))).toEqual([`activation r1 > ${n2}`, `activation c2 > ${n3}`])
    expect(summary(partOfPlan(plan, 'weights', c2))).toEqual([`weight w2 > ${n2}`, `bias b2 > ${n2}`])
    expect(summary(partOfPlan(plan, 'weights', s))).toEqual([])
    expect(summary(partOfPlan(plan, 'weights')).map((line) => line.split(' ')[0])).not.toContain('activation')
  })
})
