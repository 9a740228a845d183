import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, newModel, normal, normalData, outputError, runModel } from '@fewbit/testkit'
import { expect, it } from 'vitest'
import { probeModel } from '../engine/index.ts'
import { type Model, Tensor, tensorType } from '../ir/index.ts'
import { rng } from '../util/index.ts'
import { activationEqualization } from './activation-equalization.ts'

const engine = nodeEngine({ threads: 1 })
const feeds = normalData({ x: [1, 4, 6, 6] }, 5)

/** Six channels whose weights differ by up to a hundred, the last one dead. */
function model(): Model {
  const r = rng(1)
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', [1, 4, 6, 6]))
  const w = normal(r, [6, 4, 1, 1]).numbers()
  const uneven = Tensor.float32(
    [6, 4, 1, 1],
    w.map((v, i) => v * [0.1, 1, 10, 0.3, 3, 0][Math.floor(i / 4)]!),
  )
  const h = b.op('Relu', [b.op('Conv', [x, b.constant('w1', uneven)])], {}, { output: 'h' })
  b.output(b.op('Conv', [h, b.constant('w2', normal(r, [3, 6, 1, 1]))]))
  return model
}

async function ranges(network: Model): Promise<number[]> {
  const probed = probeModel(network, ['h'])
  const found = Array<number>(6).fill(0)
  for (const sample of feeds) {
    const values = (await runModel(engine, probed, sample)).h?.numbers() ?? []
    for (const [i, v] of values.entries()) found[Math.floor(i / 36)] = Math.max(found[Math.floor(i / 36)]!, Math.abs(v))
  }
  return found
}

it.each([
  [1, 1000],
  [0.5, 1000],
  [1, 2],
])('brings ranges to their geometric mean, by strength %s and within a factor of %s', async (strength, limit) => {
  const before = model()
  const { model: after } = await applyRewrite(activationEqualization, before, engine, { strength, limit }, { feeds })
  const [r, result] = [await ranges(before), await ranges(after)]
  // The pre-activation has its own ranges; their ratios to their mean are near those behind the Relu.
  const pre = await preRanges(before)
  const log = (list: number[]) => list.slice(0, 5).map(Math.log)
  const mean = (list: number[]) => log(list).reduce((a, b) => a + b, 0) / 5
  for (const c of [0, 1, 2, 3, 4]) {
    const wanted = (strength * (mean(r) - Math.log(r[c]!) + mean(pre) - Math.log(pre[c]!))) / 2
    const factor = Math.exp(Math.min(Math.log(limit), Math.max(-Math.log(limit), wanted)))
    expect(result[c]! / (r[c]! * factor)).toBeCloseTo(1, 5)
  }
  expect(result[5]).toBe(0)
  for (const sample of feeds) {
    expect(outputError(await runModel(engine, before, sample), await runModel(engine, after, sample))).toBeLessThan(
      1e-5,
    )
  }
})

async function preRanges(network: Model): Promise<number[]> {
  const value = [...network.graph.nodes][0]?.outputs[0]?.name as string
  const probed = probeModel(network, [value])
  const found = Array<number>(6).fill(0)
  for (const sample of feeds) {
    const values = (await runModel(engine, probed, sample))[value]?.numbers() ?? []
    for (const [i, v] of values.entries()) found[Math.floor(i / 36)] = Math.max(found[Math.floor(i / 36)]!, Math.abs(v))
  }
  return found
}
