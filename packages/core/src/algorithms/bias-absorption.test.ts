import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, newModel, normal, normalData, outputError, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { rng } from '../util/index.ts'
import { type BiasAbsorptionOptions, biasAbsorption } from './bias-absorption.ts'

const { int, ints } = attribute
const engine = nodeEngine({ threads: 1 })
const OPTIONS: BiasAbsorptionOptions = { source: 'auto', sigmas: 3, padding: 'exact' }
const BIAS = [5, -5, 3, 40]

/** A 1×1 convolution of small weights with biases far above and below zero, Relu, and what `rest` makes of it. */
function modelOf(rest: (b: GraphBuilder, x: Value) => Value): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', [1, 4, 6, 6]))
  const w = b.constant('w1', normal(rng(1), [4, 4, 1, 1], 0.3))
  const h = b.op('Conv', [x, w, b.constant('b1', Tensor.float32([4], BIAS))], {}, { output: 'h' })
  b.output(rest(b, b.op('Relu', [h])))
  return model
}

const conv = (b: GraphBuilder, x: Value, pads: readonly number[], bias = true) => {
  const r = rng(2)
  const inputs = [x, b.constant('w2', normal(r, [3, 4, 3, 3])), ...(bias ? [b.constant('b2', normal(r, [3]))] : [])]
  return b.op('Conv', inputs, { pads: ints(pads) })
}

const constants = ({ graph }: Model, node: number, input: number) =>
  Array.from([...graph.nodes].filter((n) => n.opType !== 'Relu')[node]?.inputs[input]?.constant?.numbers() ?? [])

const feeds = normalData({ x: [1, 4, 6, 6] }, 6)

async function worst(before: Model, after: Model) {
  const errors = await Promise.all(
    feeds.map(async (f) => outputError(await runModel(engine, before, f), await runModel(engine, after, f))),
  )
  return Math.max(...errors)
}

describe('bias absorption', () => {
  const moments = { mean: Float64Array.from(BIAS), std: Float64Array.of(1, 1, 2, 4) }

  it('moves max(0, β − 3γ) into the next bias, times its weights', async () => {
    const before = modelOf((b, x) => conv(b, x, [0, 0, 0, 0]))
    const { model: after, norms } = await applyRewrite(biasAbsorption, before, engine, OPTIONS, {
      feeds,
      norms: new Map([['h', moments]]),
    })
    const c = [2, 0, 0, 28]
    expect(constants(after, 0, 2)).toEqual(BIAS.map((b, i) => b - (c[i] as number)))
    const [w2, b2] = [constants(before, 1, 1), constants(before, 1, 2)]
    const expected = b2.map((b, o) => {
      const taps = w2.slice(o * 36, (o + 1) * 36)
      return Math.fround(b + taps.reduce((sum, w, i) => sum + w * (c[Math.floor(i / 9)] as number), 0))
    })
    expect(constants(after, 1, 2)).toEqual(expected)
    expect([...(norms.get('h')?.mean ?? [])]).toEqual([3, -5, 3, 12])
    // The data stay above 2 and 28 in these channels: 0.3 · 4 normal inputs.
    expect(await worst(before, after)).toBeLessThan(1e-5)
  })

  it('leaves layers with padding alone, or gives all places the bias of the middle', async () => {
    const before = modelOf((b, x) => conv(b, x, [1, 1, 1, 1]))
    const exact = await applyRewrite(biasAbsorption, before, engine, OPTIONS, { feeds })
    expect(exact.outcome.changed).toEqual([])
    const ignoring = await applyRewrite(biasAbsorption, before, engine, { ...OPTIONS, padding: 'ignore' }, { feeds })
    expect(ignoring.outcome.changed.length).toBe(2)
    const [a, b] = [await runModel(engine, before, feeds[0]), await runModel(engine, ignoring.model, feeds[0])]
    const [x, y] = [a, b].map((outputs) => Object.values(outputs)[0]?.numbers() ?? [])
    const at = (i: number) => Math.abs((x?.[i] as number) - (y?.[i] as number))
    expect(at(7)).toBeLessThan(1e-3)
    expect(at(0)).toBeGreaterThan(1)
  })

  it('takes the least value on the data where no normalization tells, also through pooling and Flatten', async () => {
    const before = modelOf((b, x) => {
      const pooled = b.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) })
      const flat = b.op('Flatten', [b.op('AveragePool', [pooled], { kernel_shape: ints([2, 2]) })])
      return b.op('Gemm', [flat, b.constant('w2', normal(rng(3), [5, 16]))], { transB: int(1) })
    })
    const { model: after } = await applyRewrite(biasAbsorption, before, engine, OPTIONS, { feeds })
    const left = constants(after, 0, 2)
    expect(left[1]).toBe(-5)
    for (const channel of [0, 2, 3]) expect(left[channel]).toBeLessThan(3)
    expect(constants(after, 4, 2).length).toBe(5)
    expect(await worst(before, after)).toBeLessThan(1e-5)
  })

  it('leaves channels alone that somebody else reads', async () => {
    const before = modelOf((b, x) => b.op('Concat', [conv(b, x, [1, 1, 1, 1]), b.op('Sigmoid', [x])], { axis: int(1) }))
    const { outcome } = await applyRewrite(biasAbsorption, before, engine, { ...OPTIONS, padding: 'ignore' }, { feeds })
    expect(outcome.changed).toEqual([])
  })
})
