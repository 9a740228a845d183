import { nodeEngine } from '@fewbit/engine-node'
import { fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { parseModel, Tensor } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { FewbitError, rng } from '../../util/index.ts'
import type { Dataset } from '../dataset.ts'
import { Adam } from './adam.ts'
import { distillData, recordedDistillation } from './index.ts'
import { statisticsLoss } from './statistics-loss.ts'

const around = { engine: nodeEngine({ threads: 1 }), ops: defaultOps }

/** A BatchNormalization on the input itself, and one behind a mixture of channels. */
const network = () =>
  parseModel(`<ir_version = 8, opset_import = ["": 13]>
  main (float32[N,2,4,4] x) => (float32[N,2,4,4] y) <
    float32[2] g = {1, 1}, float32[2] b = {0, 0}, float32[2] m1 = {3, -1}, float32[2] v1 = {4, 0.25},
    float32[2] m2 = {2, 4}, float32[2] v2 = {4.25, 4.25}, float32[2,2,1,1] w = {1, 1, 1, -1}> {
    n = BatchNormalization<epsilon = 0.0>(x, g, b, m1, v1) c = Conv(x, w) y = BatchNormalization<epsilon = 0.0>(c, g, b, m2, v2)
  }`)

async function valuesOf(data: Dataset): Promise<number[][]> {
  const values: number[][] = []
  for await (const { feeds } of data.samples()) values.push(Array.from((feeds.x as Tensor).numbers()))
  return values
}

/** Mean and deviation of a channel of 16 elements. */
function momentsOf(samples: readonly number[][], channel: number): [number, number] {
  const all = samples.flatMap((sample) => sample.slice(16 * channel, 16 * channel + 16))
  const mean = all.reduce((a, b) => a + b, 0) / all.length
  return [mean, Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length)]
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  )
  return error instanceof FewbitError ? error.code : String(error)
}

describe('distilled data', () => {
  it('have the moments that BatchNormalization remembers', async () => {
    const { data, loss, layers } = await distillData(network(), around, { samples: 8, iterations: 300 })
    expect(layers).toBe(2)
    expect(loss.after).toBeLessThan(1e-3 * loss.before)
    const samples = await valuesOf(data)
    expect(samples).toHaveLength(8)
    // Independent channels of these moments give the second normalization its own, too: 3 ∓ 1 and √(4 + 0.25). Tolerance: the loss.
    const moments = [momentsOf(samples, 0), momentsOf(samples, 1)].flat()
    const expected = [3, 2, -1, 0.5]
    for (const [i, moment] of moments.entries()) expect(moment).toBeCloseTo(expected[i] ?? 0, 1)
  })

  it('are the same for the same seed, and stay within the stated range', async () => {
    const make = (seed: number) =>
      distillData(network(), around, { samples: 3, batchSize: 2, iterations: 5, seed, inputRange: [-2, 1] })
    const [a, b, c] = [await make(4), await make(4), await make(5)]
    const values = await valuesOf(a.data)
    expect(values).toEqual(await valuesOf(b.data))
    expect(values).not.toEqual(await valuesOf(c.data))
    expect(Math.min(...values.flat())).toBe(-2)
    expect(Math.max(...values.flat())).toBe(1)
    expect(recordedDistillation(a.data.toJSON())).toEqual({
      ...{ samples: 3, batchSize: 2, iterations: 5, rate: 0.1, seed: 4, inputRange: [-2, 1], dims: {} },
    })
    expect(recordedDistillation({ kind: 'random' })).toBeUndefined()
  })

  it('measure the distance that the paper states', async () => {
    // One sample: means and deviations by hand against both normalizations, each averaged over its two channels.
    const { model, loss } = statisticsLoss(network(), defaultOps, 'x', [1, 2, 4, 4])
    const x = Float32Array.from({ length: 32 }, (_, i) => Math.sin(i))
    const session = await around.engine.load(model)
    const found = (await session.run({ x: Tensor.float32([1, 2, 4, 4], x) }))[loss]?.numbers()[0]
    await session.release()
    const sums = Array.from({ length: 16 }, (_, i) => (x[i] ?? 0) + (x[i + 16] ?? 0))
    const differences = Array.from({ length: 16 }, (_, i) => (x[i] ?? 0) - (x[i + 16] ?? 0))
    const distance = ([m, s]: [number, number], mean: number, std: number) => (m - mean) ** 2 + (s - std) ** 2
    const first = [distance(momentsOf([[...x]], 0), 3, 2), distance(momentsOf([[...x]], 1), -1, 0.5)]
    const second = [sums, differences].map((values, i) =>
      distance(momentsOf([values], 0), i === 0 ? 2 : 4, Math.sqrt(4.25)),
    )
    const mean = (pair: number[]) => ((pair[0] ?? 0) + (pair[1] ?? 0)) / 2
    expect(found).toBeCloseTo(mean(first) + mean(second), 3)
  })

  it('are refused where nothing is remembered, or there is more than one input', async () => {
    expect(await codeOf(distillData(fixture('residual'), around))).toBe('DISTILL_NORM')
    const two = parseModel(`<ir_version = 8, opset_import = ["": 13]>
      main (float32[N,2] x, float32[N,2] z) => (float32[N,2] y) { y = Add(x, z) }`)
    expect(await codeOf(distillData(two, around))).toBe('DISTILL_INPUT')
  })

  it('stop when they are told to', async () => {
    const stop = new AbortController()
    const onProgress = (done: number) => done === 2 && stop.abort(new Error('enough'))
    expect(await codeOf(distillData(network(), { ...around, signal: stop.signal, onProgress }))).toContain('enough')
  })
})

it('Adam takes steps of the rate at first, whatever the size of the gradient, and finds a minimum', () => {
  const x = Float32Array.of(5, -3)
  const adam = new Adam(2)
  adam.step(x, [1e-3, -1e3], 0.5)
  expect(x[0]).toBeCloseTo(4.5, 4)
  expect(x[1]).toBeCloseTo(-2.5, 4)
  const random = rng(1)
  for (let i = 0; i < 2000; i++) adam.step(x, [2 * ((x[0] ?? 0) - 1) + random.normal(), 20 * ((x[1] ?? 0) - 2)], 0.02)
  expect(x[0]).toBeCloseTo(1, 0)
  expect(x[1]).toBeCloseTo(2, 1)
})
