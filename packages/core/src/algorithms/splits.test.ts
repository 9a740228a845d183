import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, newModel, normal, outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value, verify } from '../ir/index.ts'
import { rng, roundHalfEven } from '../util/index.ts'
import { channelSplit } from './channel-split.ts'
import { weightSplit } from './weight-split.ts'

const { int, ints } = attribute
const engine = nodeEngine({ threads: 1 })

/** Normal weights with one outlier of 20 at a flat index. */
function withOutlier(seed: number, dims: readonly number[], index: number): Tensor {
  const values = normal(rng(seed), dims).numbers()
  return Tensor.float32(
    dims,
    values.map((w, i) => (i === index ? 20 : w)),
  )
}

function modelOf(dims: readonly number[], build: (b: GraphBuilder, x: Value) => Value): Model {
  const { model, b } = newModel()
  const y = b.output(build(b, b.input('x', tensorType('float32', dims))))
  y.name = 'y'
  return model
}

const LAYERS: Record<string, Model> = {
  Conv: modelOf([1, 4, 6, 6], (b, x) => {
    const inputs = [x, b.constant('w', withOutlier(1, [5, 4, 3, 3], 40)), b.constant('b', normal(rng(2), [5]))]
    return b.op('Conv', inputs, { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]) })
  }),
  ConvTranspose: modelOf([1, 4, 6, 6], (b, x) =>
    b.op('ConvTranspose', [x, b.constant('w', withOutlier(1, [4, 5, 3, 3], 70))]),
  ),
  Gemm: modelOf([3, 4], (b, x) => {
    return b.op('Gemm', [x, b.constant('w', withOutlier(1, [5, 4], 7)), b.constant('b', normal(rng(2), [5]))], {
      transB: int(1),
    })
  }),
  MatMul: modelOf([2, 3, 4], (b, x) => b.op('MatMul', [x, b.constant('w', withOutlier(1, [4, 5], 7))])),
}

const weights = (model: Model) =>
  [...model.graph.nodes].flatMap(({ opType, inputs }) => (opType in LAYERS ? [inputs[1]?.constant as Tensor] : []))
const range = (tensor: Tensor | undefined) => Math.max(...[...(tensor?.numbers() ?? [])].map(Math.abs))

/** Halves are exact; sums run in another order. */
const CLOSE = 1e-5

async function expectSame(before: Model, after: Model): Promise<void> {
  const feeds = randomFeeds(before, 4)
  expect(verify(after)).toEqual([])
  expect(outputError(await runModel(engine, before, feeds), await runModel(engine, after, feeds))).toBeLessThan(CLOSE)
}

describe('weight-split', () => {
  it.each(Object.keys(LAYERS))('makes two layers of a %s with an outlier, each with half the range', async (type) => {
    const before = LAYERS[type] as Model
    const { model, outcome } = await applyRewrite(weightSplit, before, engine, { threshold: 3 })
    expect(outcome.changed.length).toBe(1)
    expect(weights(model).map(range)).toEqual([10, 10])
    expect([...(weights(model)[1]?.numbers() ?? [])].filter((w) => w !== 0)).toEqual([10])
    await expectSame(before, model)
  })

  it('leaves layers without outliers', async () => {
    const before = LAYERS.Conv as Model
    const { outcome } = await applyRewrite(weightSplit, before, engine, { threshold: 100 })
    expect(outcome.changed).toEqual([])
  })
})

describe('channel-split', () => {
  const OPTIONS = { ratio: 0.25, bits: 8, copy: false }
  const chain = modelOf([1, 4, 8, 8], (b, x) => {
    const h = b.op('Conv', [x, b.constant('w1', normal(rng(3), [8, 4, 3, 3])), b.constant('b1', normal(rng(4), [8]))])
    const pooled = b.op('MaxPool', [b.op('Sigmoid', [h])], { kernel_shape: ints([2, 2]) })
    return b.op('Conv', [pooled, b.constant('w2', withOutlier(5, [40, 8, 1, 1], 10))])
  })

  it('lets the layer in front make outlier channels twice', async () => {
    const { model, outcome } = await applyRewrite(channelSplit, chain, engine, OPTIONS)
    expect([...model.graph.nodes].map((n) => n.opType)).toEqual(['Conv', 'Sigmoid', 'MaxPool', 'Conv'])
    expect(weights(model).map((w) => w.dims.slice(0, 2))).toEqual([
      [10, 4],
      [40, 10],
    ])
    expect(outcome.details).toMatchObject({ split: 1, channels: 2 })
    // Twice halved: 20 becomes 10 and 10, then one of them 5 and 5; the other 10 stays the largest.
    expect(range(weights(model)[1])).toBeCloseTo(10, 0)
    await expectSame(chain, model)
  })

  it('places halves so that rounded halves add up to the rounded whole (section 3.3)', async () => {
    const { model } = await applyRewrite(channelSplit, chain, engine, { ...OPTIONS, ratio: 0.1 })
    const [before, after] = [weights(chain)[1]?.numbers() ?? [], weights(model)[1]] as [Float32Array, Tensor]
    const split = after.numbers()
    const scale = range(after) / 127
    const round = (w: number) => roundHalfEven(w / scale)
    for (let o = 0; o < 40; o++) {
      const whole = before[o * 8 + 2] as number
      const halves = round(split[o * 9 + 2] as number) + round(split[o * 9 + 8] as number)
      // A naive half of an odd code would round twice, which is off by one in half of all cases.
      expect(Math.abs(halves - whole / scale)).toBeLessThanOrEqual(0.51)
    }
  })

  it.each(Object.keys(LAYERS))('copies the channels of a %s that nobody can make twice', async (type) => {
    const before = LAYERS[type] as Model
    const shy = await applyRewrite(channelSplit, before, engine, OPTIONS)
    expect(shy.outcome.changed).toEqual([])
    const { model } = await applyRewrite(channelSplit, before, engine, { ...OPTIONS, copy: true })
    expect([...model.graph.nodes].map((n) => n.opType)).toEqual(['Gather', type])
    expect(range(weights(model)[0])).toBeLessThan(10.1)
    await expectSame(before, model)
  })
})
