import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, newModel, normal, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../engine/index.ts'
import { attribute, type GraphBuilder, type Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { must, rng } from '../util/index.ts'
import { quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })
const SIZE = 2048

const product = (b: GraphBuilder, name: string, x: Value, w: Tensor): Value =>
  b.op('Gemm', [x, b.constant(`${name}.w`, w)], { transB: attribute.int(1) }, { name, output: name })

/**
 * Twelve products with inputs of their own, in which one value is some thirty times as large as all others. It meets weights of zero in every second
 * product and weights of forty in the others: the right ranges are known, and no observer is right for all.
 */
function manyInputs(): { model: Model; data: Feeds[] } {
  const { model, b } = newModel()
  const random = rng(4)
  const names = Array.from({ length: 12 }, (_, i) => `x${i}`)
  for (const [i, name] of names.entries()) {
    const values = normal(random, [4, SIZE]).numbers() as Float32Array
    for (let row = 0; row < 4; row++) values[row * SIZE] = i % 2 === 0 ? 0 : 40
    const x = b.input(name, tensorType('float32', ['N', SIZE]))
    b.output(product(b, `y${i}`, x, Tensor.float32([4, SIZE], values)))
  }
  const data = Array.from({ length: 32 }, (): Feeds => {
    const sample = names.map((name) => {
      const values = Float32Array.from({ length: SIZE }, () => random.next())
      values[0] = 20 + 10 * random.next()
      return [name, Tensor.float32([1, SIZE], values)] as const
    })
    return Object.fromEntries(sample)
  })
  return { model, data }
}

describe('observers by their readers', () => {
  it('are right for more tensors than trials could be made of', async () => {
    const { model, data } = manyInputs()
    const { report, plan, params } = await quantize(model, {
      engine,
      scheme: 'w8a4',
      calibration: { data: memoryData(data) },
    })
    const { choice } = report
    const [trial] = choice.trials.filter(({ what }) => what.endsWith('by their readers'))
    expect(trial?.kept).toBe(true)
    const ranges = plan.tensors.filter(({ value }) => /^x\d+$/.test(value))
    expect(ranges).toHaveLength(12)
    for (const [i, { value, group }] of ranges.entries()) {
      const { scale } = must(params.get(group), group)
      if (i % 2 === 0) expect(scale[0], value).toBeLessThan(5 / 15)
      else expect(scale[0], value).toBeGreaterThan(20 / 15)
    }
  })
})

describe('a sample with large values', () => {
  it('does not decide for all others', async () => {
    const { model, b } = newModel()
    let x = b.input('x', tensorType('float32', ['N', 4, 8, 8]))
    const random = rng(3)
    for (const name of ['c1', 'c2']) {
      const w = b.constant(`${name}.w`, normal(random, [4, 4, 1, 1]))
      x = b.op('Relu', [b.op('Conv', [x, w], {}, { name })])
    }
    b.output(x)
    const samples = (count: number, seed: number) => normalData({ x: [1, 4, 8, 8] }, count, seed)
    const spiked = samples(96, 1).map((sample, i) => {
      if (i !== 4) return sample
      const values = Float32Array.from(must(sample.x, 'x').numbers())
      values[7] = 600
      return { x: Tensor.float32([1, 4, 8, 8], values) }
    })
    const error = async (observer: string) => {
      const data = memoryData(spiked)
      const options = { engine, target: 'qnn', calibration: { data, samples: 96, observer } } as const
      const { model: quantized } = await quantize(model, options)
      let noise = 0
      for (const feed of samples(8, 77)) {
        const [y, found] = [await runModel(engine, model, feed), await runModel(engine, quantized, feed)].map((o) =>
          must(Object.values(o)[0], 'y').numbers(),
        )
        must(y, 'y').forEach((v, i) => {
          noise += (v - (found?.[i] as number)) ** 2
        })
      }
      return noise
    }
    // Steps become a hundred times as fine.
    expect(await error('auto')).toBeLessThan(0.05 * (await error('minmax')))
  })
})
