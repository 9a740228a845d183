import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, valuesByName } from '../../ir/index.ts'
import { must, rng } from '../../util/index.ts'
import { restoreNorms } from './restore-norms.ts'

const engine = nodeEngine({ threads: 1 })
const random = rng(4)
const list = (count: number) => Array.from({ length: count }, () => random.normal().toFixed(4)).join()

/** A layer with a bias, one without, one that is normalized already, and one whose weight is shared. */
const network = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,2,5,5] x) => (float[N,3,5,5] y)
  <float[4,2,3,3] w1 = {${list(72)}}, float[4] b1 = {${list(4)}}, float[3,4,1,1] w2 = {${list(12)}}, float[3,3,1,1] w3 = {${list(9)}},
   float[3] one = {1, 1, 1}, float[3] zero = {0, 0, 0}, float[3,3,1,1] ws = {${list(9)}}> {
    [first] a = Conv<pads = [1, 1, 1, 1]>(x, w1, b1) r = Relu(a) [second] c = Conv(r, w2) s = Relu(c)
    [third] d = Conv(s, w3) n = BatchNormalization(d, one, zero, zero, one)
    [fourth] e = Conv(n, ws) [fifth] y = Conv(e, ws) }`)
const samples = normalData({ x: [1, 2, 5, 5] }, 40)
const data = memoryData(samples)

/** Mean and biased variance of each channel of a value, over all samples. */
async function moments(model: Model, name: string, channels: number) {
  const probe = { ...network, graph: model.graph }
  const all: number[][] = Array.from({ length: channels }, () => [])
  model.graph.outputs.push(must(valuesByName(probe.graph).get(name), name))
  for (const feeds of samples) {
    const y = must((await runModel(engine, model, feeds))[name], name).numbers()
    for (const [i, v] of y.entries()) all[Math.floor(i / 25)]?.push(Number(v))
  }
  model.graph.outputs.pop()
  return all.map((values) => {
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length
    return { mean, variance: values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length }
  })
}

describe('restoreNorms', () => {
  it('puts normalizations behind bare layers, and the network computes what it did', async () => {
    const { model, layers } = await restoreNorms(network, { engine, data })
    expect(layers).toEqual(['first', 'second'])
    for (const feeds of samples.slice(0, 3)) {
      const [before, after] = [await runModel(engine, network, feeds), await runModel(engine, model, feeds)]
      const y = must(after.y, 'y').numbers()
      for (const [i, v] of must(before.y, 'y').numbers().entries()) expect(y[i]).toBeCloseTo(Number(v), 3)
    }
  })

  it('gives them the statistics of what they read, and weights the norm of Kaiming’s initialization', async () => {
    const { model } = await restoreNorms(network, { engine, data })
    const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
    const layer = must(nodes.get('first'), 'first')
    const norm = must(layer.outputs[0]?.uses()[0]?.node, 'normalization')
    expect([norm.opType, layer.inputs.length]).toEqual(['BatchNormalization', 2])
    const [, , shift, mean, variance] = norm.inputs.map((input) => Array.from(input?.constant?.numbers() ?? [], Number))
    const read = await moments(model, must(layer.outputs[0], 'output').name, 4)
    const made = await moments(model, must(norm.outputs[0], 'output').name, 4)
    for (const [c, { mean: m, variance: v }] of read.entries()) {
      expect(mean?.[c]).toBeCloseTo(m, 4)
      expect(variance?.[c]).toBeCloseTo(v, 4)
      expect(shift?.[c]).toBeCloseTo(must(made[c], 'moments').mean, 4)
    }
    const weight = Array.from(layer.inputs[1]?.constant?.numbers() ?? [], Number)
    for (const c of [0, 1, 2, 3]) expect(Math.hypot(...weight.slice(18 * c, 18 * (c + 1)))).toBeCloseTo(Math.SQRT2, 5)
  })
})
