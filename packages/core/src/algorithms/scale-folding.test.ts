import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, newModel, normal, outputError, randomFeeds, runModel, uniform } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { rng } from '../util/index.ts'
import { scaleFolding } from './scale-folding.ts'

const { ints } = attribute
const engine = nodeEngine({ threads: 1 })

function modelOf(build: (b: GraphBuilder, x: Value) => Value): Model {
  const { model, b } = newModel()
  b.output(build(b, b.input('x', tensorType('float32', [1, 4, 6, 6]))))
  return model
}

const r = rng(2)
const conv = (b: GraphBuilder, x: Value) => {
  return b.op('Conv', [x, b.constant('w', normal(r, [4, 4, 3, 3])), b.constant('b', normal(r, [4]))])
}
const vector = (b: GraphBuilder, low: number, high: number) => b.constant('k', uniform(r, [4, 1, 1], low, high))

async function folded(before: Model) {
  const { model, outcome } = await applyRewrite(scaleFolding, before, engine, {})
  const feeds = randomFeeds(before, 5)
  // Two roundings of each weight, over sums of 36 terms.
  expect(outputError(await runModel(engine, before, feeds), await runModel(engine, model, feeds))).toBeLessThan(1e-5)
  return { types: [...model.graph.nodes].map((n) => n.opType), outcome }
}

describe('scale folding', () => {
  it('moves factors backwards through activations, sums and pooling', async () => {
    const model = modelOf((b, x) => {
      const sum = b.op('Add', [conv(b, x), conv(b, x)])
      const pooled = b.op('MaxPool', [b.op('Relu', [sum])], { kernel_shape: ints([2, 2]) })
      return b.op('Sigmoid', [b.op('Mul', [vector(b, 0.5, 2), pooled])])
    })
    expect((await folded(model)).types).toEqual(['Conv', 'Conv', 'Add', 'Relu', 'MaxPool', 'Sigmoid'])
  })

  it('lets other readers of the same channels make up for it', async () => {
    const model = modelOf((b, x) => {
      const shared = b.op('Relu', [conv(b, x)])
      const other = conv(b, shared)
      return b.op('Add', [b.op('ReduceMean', [b.op('Sigmoid', [b.op('Div', [shared, vector(b, 0.5, 2)])])]), other])
    })
    expect((await folded(model)).types).not.toContain('Div')
  })

  it('moves factors forwards where nothing behind them takes them', async () => {
    const model = modelOf((b, x) => conv(b, b.op('Relu', [b.op('Mul', [b.op('Sigmoid', [x]), vector(b, 0.5, 2)])])))
    expect((await folded(model)).types).toEqual(['Sigmoid', 'Relu', 'Conv'])
  })

  it('folds negative factors where no activation stands between', async () => {
    const through = (middle: string) =>
      modelOf((b, x) => b.op('Sigmoid', [b.op('Mul', [b.op(middle, [conv(b, x)]), vector(b, -2, -1)])]))
    expect((await folded(through('Identity'))).types).toEqual(['Conv', 'Identity', 'Sigmoid'])
    const { types, outcome } = await folded(through('Relu'))
    expect(types).toContain('Mul')
    expect(outcome.notes?.[0]).toMatch(/Mul.*: no weights on either side/)
  })

  it('folds chains of factors, and leaves those between values that keep their scale', async () => {
    const chain = modelOf((b, x) => {
      const first = b.op('Mul', [conv(b, x), vector(b, 0.5, 2)])
      return b.op('Sigmoid', [b.op('Mul', [b.op('Relu', [first]), b.constant('k', Tensor.float32([], [3]))])])
    })
    expect((await folded(chain)).types).toEqual(['Conv', 'Relu', 'Sigmoid'])
    const alone = modelOf((b, x) => b.op('Mul', [b.op('Sigmoid', [x]), vector(b, 0.5, 2)]))
    expect((await folded(alone)).outcome.changed).toEqual([])
  })
})
