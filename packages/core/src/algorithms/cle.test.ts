import { nodeEngine } from '@fewbit/engine-node'
import { newModel, normal, outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { attribute, cloneModel, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapesPass, runPasses } from '../passes/index.ts'
import { Diagnostics, rng } from '../util/index.ts'
import { channelGraph, scaleChannels } from './channels/index.ts'
import { equalize } from './cle.ts'

const { int, ints } = attribute
const engine = nodeEngine({ threads: 1 })
const C = 4

/** Weights whose channels differ by up to a thousand. */
function uneven(seed: number, dims: readonly number[]): Tensor {
  const r = rng(seed)
  const perRow = dims.slice(1).reduce((n, d) => n * d, 1)
  const rows = Array.from({ length: dims[0] as number }, () => 10 ** (3 * r.next() - 1.5))
  const values = normal(r, dims).numbers()
  return Tensor.float32(
    dims,
    values.map((v, i) => v * (rows[Math.floor(i / perRow)] as number)),
  )
}

function modelOf(build: (b: GraphBuilder, x: Value) => Value): Model {
  const { model, b } = newModel()
  b.output(build(b, b.input('x', tensorType('float32', [1, C, 6, 6]))))
  return model
}

async function equalized(model: Model, options = { iterations: 200, threshold: 0 }) {
  const copy = cloneModel(model)
  await runPasses(copy, [inferShapesPass], { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => {} })
  const graph = channelGraph(copy, defaultOps)
  const { factors, ...report } = equalize(graph, options)
  scaleChannels(graph, (id) => factors[graph.classes.find(id)] as number)
  const feeds = randomFeeds(model, 3)
  const error = outputError(await runModel(engine, model, feeds), await runModel(engine, copy, feeds))
  // Weights are rounded once more, 2^-24 each.
  expect(error).toBeLessThan(1e-5)
  return { ...report, weights: (m: Model = copy) => [...m.graph.nodes].flatMap((n) => weightOf(n.inputs[1])) }
}

const weightOf = (value: Value | null | undefined): Tensor[] => (value?.constant ? [value.constant] : [])

/** Largest magnitude by index of an axis, counted element by element. */
function ranges(tensor: Tensor | undefined, axis: 0 | 1): number[] {
  const [rows = 1, columns = 1, ...rest] = tensor?.dims ?? []
  const taps = rest.reduce((n, d) => n * d, 1)
  const found = Array<number>(axis === 0 ? rows : columns).fill(0)
  for (const [i, w] of (tensor?.numbers() ?? []).entries()) {
    const at = axis === 0 ? Math.floor(i / (columns * taps)) : Math.floor(i / taps) % columns
    found[at] = Math.max(found[at] as number, Math.abs(w))
  }
  return found
}

/** Steps of under 1e-4 end the sweeps; each changes a range by as much. */
const CLOSE = 1e-3

function expectEqual(a: readonly number[], b: readonly number[]): void {
  expect(a.length).toBe(b.length)
  for (const [i, x] of a.entries()) expect(Math.abs(Math.log(x / (b[i] as number)))).toBeLessThan(CLOSE)
}

describe('cross-layer equalization', () => {
  const pair = modelOf((b, x) => {
    const hidden = b.op('Conv', [x, b.constant('w1', uneven(1, [8, C, 3, 3])), b.constant('b', uneven(2, [8]))])
    return b.op('Conv', [b.op('Relu', [hidden]), b.constant('w2', uneven(3, [5, 8, 1, 1]))])
  })

  it('gives both sides of a pair the geometric mean of their ranges (equation 11)', async () => {
    const result = await equalized(pair)
    const [before, after] = [result.weights(pair), result.weights()]
    const [r1, r2] = [ranges(before[0], 0), ranges(before[1], 1)]
    const mean = r1.map((r, i) => Math.sqrt(r * (r2[i] as number)))
    expectEqual(ranges(after[0], 0), mean)
    expectEqual(ranges(after[1], 1), mean)
    expect(result.channels).toBe(8)
  })

  it('gives conv, depthwise and conv the cube root of the product of their ranges', async () => {
    const triple = modelOf((b, x) => {
      const first = b.op('Relu', [b.op('Conv', [x, b.constant('w1', uneven(1, [8, C, 1, 1]))])])
      const depthwise = b.op('Conv', [first, b.constant('w2', uneven(2, [8, 1, 3, 3]))], { group: int(8) })
      return b.op('Conv', [b.op('Relu', [depthwise]), b.constant('w3', uneven(3, [5, 8, 1, 1]))])
    })
    const result = await equalized(triple)
    const [before, after] = [result.weights(triple), result.weights()]
    const of = ([a, d, c]: Tensor[]) => [ranges(a, 0), ranges(d, 0), ranges(c, 1)] as const
    const [r1, r2, r3] = of(before)
    const root = r1.map((r, i) => Math.cbrt(r * (r2[i] as number) * (r3[i] as number)))
    for (const range of of(after)) expectEqual(range, root)
  })

  it('scales all branches of a residual stage alike', async () => {
    const stage = modelOf((b, x) => {
      const conv = (v: Value, seed: number, ...dims: number[]) =>
        b.op('Conv', [v, b.constant('w', uneven(seed, dims))], { pads: ints([0, 0, 0, 0]) })
      const stem = b.op('Relu', [conv(x, 1, 6, C, 1, 1)])
      const block = b.op('Relu', [b.op('Add', [conv(b.op('Relu', [conv(stem, 2, 6, 6, 1, 1)]), 3, 6, 6, 1, 1), stem])])
      return conv(block, 4, 3, 6, 1, 1)
    })
    const result = await equalized(stage)
    // Six channels of the stage and six inside the block.
    expect(result.channels).toBe(12)
    const [stem, inner, last, head] = result.weights() as [Tensor, Tensor, Tensor, Tensor]
    expectEqual(ranges(inner, 0), ranges(last, 1))
    const [w1, w3] = [ranges(stem, 0), ranges(last, 0)]
    const [r2, r4] = [ranges(inner, 1), ranges(head, 1)]
    const both = (a: number[], c: number[]) => a.map((v, i) => Math.sqrt(v * (c[i] as number)))
    expectEqual(both(w1, w3), both(r2, r4))
  })

  it('leaves channels alone whose weights are next to nothing', async () => {
    const w = Float32Array.from({ length: 8 * C }, (_, i) => (i < C ? 1e-6 : 1))
    const tiny = modelOf((b, x) => {
      const hidden = b.op('Relu', [b.op('Conv', [x, b.constant('w1', Tensor.float32([8, C, 1, 1], w))])])
      return b.op('Conv', [hidden, b.constant('w2', uneven(3, [5, 8, 1, 1]))])
    })
    const result = await equalized(tiny, { iterations: 10, threshold: 1e-3 })
    expect(result.channels).toBe(7)
    expect(ranges(result.weights()[0], 0)[0]).toBe(Math.fround(1e-6))
  })
})
