import { nodeEngine } from '@fewbit/engine-node'
import { normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { cloneModel, parseModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { biasedLayers, giveOwnBiases, shiftBias } from './linear-bias.ts'

const engine = nodeEngine({ threads: 1 })

/** A convolution without a bias, two that share one, a Gemm that scales its bias, and a MatMul whose bias is an Add. */
const network = () => {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]>
    main (float32[N,2,1,1] x) => (float32[N,2] y) <
      float32[2,2,1,1] wa = {1, 2, 3, 4}, float32[2,2,1,1] wb = {1, 0, 0, 1}, float32[2,2,1,1] wc = {2, 0, 0, 2},
      float32[2] shared = {5, 6}, float32[2,2] wg = {1, 0, 0, 1}, float32[2] bg = {1, 1}, float32[2,2] wm = {1, 1, 1, 1},
      float32[2] bm = {10, 20}> {
      [a] a = Conv(x, wa) [b] b = Conv(a, wb, shared) [c] c = Conv(b, wc, shared) f = Flatten(c)
      [g] g = Gemm<beta = 0.5>(f, wg, bg) [m] m = MatMul(g, wm) [add] y = Add(bm, m) }`)
  inferShapes(model, { ops: defaultOps })
  return model
}

const feeds = () => normalData({ x: [3, 2, 1, 1] }, 1)[0] ?? {}

describe('biases of linear layers', () => {
  it('become their own without a change of the outputs', async () => {
    const model = network()
    const own = cloneModel(model)
    giveOwnBiases(own, defaultOps)
    expect(biasedLayers(model, defaultOps).map(({ node }) => node.name)).toEqual(['m'])
    expect(biasedLayers(own, defaultOps).map(({ node }) => node.name)).toEqual(['a', 'b', 'c', 'g', 'm'])
    const [before, after] = [await runModel(engine, model, feeds()), await runModel(engine, own, feeds())]
    expect(Array.from(after.y?.numbers() ?? [])).toEqual(Array.from(before.y?.numbers() ?? []))
  })

  it('move the output that they are added to, by channel', async () => {
    const model = network()
    giveOwnBiases(model, defaultOps)
    const [first] = biasedLayers(model, defaultOps)
    const last = biasedLayers(model, defaultOps).at(-1)
    const y = async () => Array.from((await runModel(engine, model, feeds())).y?.numbers() ?? [])
    const before = await y()
    if (last) shiftBias(last, [100, 200])
    const moved = before.map((v, i) => v + [100, 200][i % 2]!)
    ;(await y()).forEach((v, i) => {
      expect(v).toBeCloseTo(moved[i]!, 3)
    })
    // Through the doubling of the third convolution and the sum of both channels: 2 · (1 + 2).
    if (first) shiftBias(first, [1, 2])
    ;(await y()).forEach((v, i) => {
      expect(v).toBeCloseTo(moved[i]! + 6, 3)
    })
  })
})
