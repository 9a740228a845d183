import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, newModel, normal, outputError, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { probeModel } from '../engine/index.ts'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { rng } from '../util/index.ts'
import { smoothquant } from './smoothquant.ts'

const { ints } = attribute
const engine = nodeEngine({ threads: 1 })
const C = 4
const r = rng(8)
const feeds = [1, 2, 3].map(() => ({ x: normal(r, [2, 3, C]) }))

/** Tokens [2, 3, 4] through what `front` does, and two products that read the same values. */
function modelOf(front: (b: GraphBuilder, x: Value) => Value): Model {
  const random = rng(1)
  const { model, b } = newModel()
  const x = front(b, b.input('x', tensorType('float32', [2, 3, C])))
  const query = b.op('MatMul', [x, b.constant('wq', normal(random, [C, 5]))], {}, { name: 'query' })
  const key = b.op('MatMul', [x, b.constant('wk', normal(random, [C, 5], 3))], {}, { name: 'key' })
  b.output(b.op('Add', [b.op('Tanh', [query]), b.op('Tanh', [key])]))
  return model
}

/** One channel with outliers. */
const GAMMA = Tensor.float32([C], [1, 50, 0.5, 2])

const FRONTS: Record<string, (b: GraphBuilder, x: Value) => Value> = {
  LayerNormalization: (b, x) => b.op('LayerNormalization', [x, b.constant('g', GAMMA), b.constant('b', GAMMA)]),
  'root mean square': (b, x) => {
    const square = b.op('ReduceMean', [b.op('Mul', [x, x])], { axes: ints([-1]) })
    return b.op('Mul', [b.op('Div', [x, b.op('Sqrt', [square])]), b.constant('g', GAMMA)])
  },
  BatchNormalization: (b, x) => {
    const swap = (v: Value) => b.op('Transpose', [v], { perm: ints([0, 2, 1]) })
    const one = b.constant('one', Tensor.float32([C], [1, 1, 1, 1]))
    return swap(b.op('BatchNormalization', [swap(x), b.constant('g', GAMMA), one, one, one]))
  },
  'another product': (b, x) => {
    const w = Tensor.float32(
      [C, C],
      Array.from({ length: 16 }, (_, i) => (i % C === 1 ? 20 : 1) * ((i % 5) - 2)),
    )
    return b.op('Add', [b.op('MatMul', [x, b.constant('w0', w)]), b.constant('b0', GAMMA)])
  },
}

const inputOf = (model: Model) => [...model.graph.nodes].find(({ name }) => name === 'query')?.inputs[0]?.name as string

/** Largest magnitude of each channel of what the products read, over all samples. */
async function activationRanges(model: Model): Promise<number[]> {
  const probed = probeModel(model, [inputOf(model)])
  const found = Array<number>(C).fill(0)
  for (const sample of feeds) {
    const values = (await runModel(engine, probed, sample))[inputOf(model)]?.numbers() ?? []
    for (const [i, v] of values.entries()) found[i % C] = Math.max(found[i % C] as number, Math.abs(v))
  }
  return found
}

/** Largest magnitude of each input channel over both products. */
function weightRanges(model: Model): number[] {
  const weights = [...model.graph.nodes].filter(({ name }) => ['query', 'key'].includes(name))
  const rows = weights.map((node) => node.inputs[1]?.constant?.numbers() ?? [])
  return Array.from({ length: C }, (_, j) =>
    Math.max(...rows.flatMap((w) => [...w].slice(j * 5, j * 5 + 5).map(Math.abs))),
  )
}

describe('smoothquant', () => {
  it.each(Object.keys(FRONTS).flatMap((front) => [0, 0.5, 0.8].map((alpha) => [front, alpha] as const)))(
    'divides channels behind %s by s (equation 4), alpha %s',
    async (front, alpha) => {
      const before = modelOf(FRONTS[front] as (typeof FRONTS)[string])
      const { model: after } = await applyRewrite(smoothquant, before, engine, { alpha, insert: false }, { feeds })
      const [x, w] = [await activationRanges(before), weightRanges(before)]
      const s = x.map((range, j) => range ** alpha / (w[j] as number) ** (1 - alpha))
      const [xAfter, wAfter] = [await activationRanges(after), weightRanges(after)]
      for (const j of x.keys()) {
        // Weights are rounded to float32 once more.
        expect((xAfter[j] as number) / ((x[j] as number) / (s[j] as number))).toBeCloseTo(1, 5)
        expect((wAfter[j] as number) / ((w[j] as number) * (s[j] as number))).toBeCloseTo(1, 5)
      }
      for (const sample of feeds) {
        expect(outputError(await runModel(engine, before, sample), await runModel(engine, after, sample))).toBeLessThan(
          1e-5,
        )
      }
    },
  )

  it('inserts a factor where nothing takes up the division, if it may', async () => {
    const before = modelOf((b, x) => b.op('Mul', [b.op('Sigmoid', [x]), x]))
    const shy = await applyRewrite(smoothquant, before, engine, { alpha: 0.5, insert: false }, { feeds })
    expect(shy.outcome.changed).toEqual([])
    expect(shy.outcome.notes).toEqual(['query', 'key'].map((n) => `nothing in front of ${n} takes up a division`))
    const bold = await applyRewrite(smoothquant, before, engine, { alpha: 0.5, insert: true }, { feeds })
    expect([...bold.model.graph.nodes].length).toBe([...before.graph.nodes].length + 1)
    const [x, w] = [await activationRanges(bold.model), weightRanges(bold.model)]
    // At α = ½ both sides meet at the geometric mean.
    for (const j of x.keys()) expect((x[j] as number) / (w[j] as number)).toBeCloseTo(1, 5)
    expect(
      outputError(await runModel(engine, before, feeds[0]), await runModel(engine, bold.model, feeds[0])),
    ).toBeLessThan(1e-5)
  })
})
