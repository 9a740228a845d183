import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { probeModel } from '../engine/index.ts'
import { type Model, Tensor, valuesByName } from '../ir/index.ts'
import { quantize } from '../pipeline/index.ts'
import { quantize as codesOf } from '../quant/index.ts'

const engine = nodeEngine({ threads: 1 })
const samples = normalData({ x: [1, 4, 8, 8] }, 16).map(({ x }) => ({
  x: Tensor.float32(
    x!.dims,
    x!.numbers().map((v) => v + 1),
  ),
}))

const quantized = (perTensor: boolean, algorithms: readonly string[]) =>
  quantize(fixture('residual'), {
    engine,
    target: 'academic',
    scheme: 'w2a8',
    ...(perTensor ? {} : { overrides: [{ match: { op: 'Conv' }, granularity: 'channel' }] }),
    calibration: { data: memoryData(samples), observer: 'minmax' },
    algorithms,
  })

/** Mean and deviation of each of four channels of a value, over all samples. */
async function moments(model: Model, value: string) {
  const session = await engine.load(probeModel(model, [value]), { optimization: 'none' })
  const channels = Array.from({ length: 4 }, (): number[] => [])
  for (const feeds of samples) {
    const y = (await session.run(feeds))[value]!.numbers()
    for (const [i, v] of y.entries()) channels[Math.floor(i / (y.length / 4))]!.push(v)
  }
  await session.release()
  return channels.map((list) => {
    const mean = list.reduce((s, v) => s + v, 0) / list.length
    return [mean, Math.sqrt(list.reduce((s, v) => s + (v - mean) ** 2, 0) / list.length)] as const
  })
}

/** Greatest differences of means and deviations from float. */
async function distance(model: Model, value: string) {
  const [q, f] = [await moments(model, value), await moments(fixture('residual'), value)]
  const worst = (k: 0 | 1) => Math.max(...q.map((m, c) => Math.abs(m[k] - f[c]![k])))
  return { mean: worst(0), std: worst(1) }
}

describe('re-estimation of BatchNormalization', () => {
  it('gives channels the mean and the deviation of float, and leaves codes as they were', async () => {
    const [before, after] = [await quantized(false, []), await quantized(false, ['batchnorm-reestimation'])]
    expect(after.report.algorithms[0]).toMatchObject({ changed: 2, notes: [expect.stringContaining('Conv_2')] })
    // The last layer has eight bits, whose error is within the noise.
    expect((await distance(before.model, 'c2')).std).toBeGreaterThan(0.05)
    for (const value of ['c1', 'c2']) {
      const { mean, std } = await distance(after.model, value)
      // The target's biases are float; what is left are sums in other orders, and squares of them in float32.
      expect(mean).toBeLessThan(1e-4)
      expect(std).toBeLessThan(1e-3)
    }
    const codes = ({ float, params }: typeof after) => {
      const data = valuesByName(float.graph).get('w2')!.constant!
      return Array.from(codesOf(data.numbers(), params.get('w2')!, data.dims))
    }
    expect(codes(after)).toEqual(codes(before))
    expect(after.params.get('w2')?.scale).not.toEqual(before.params.get('w2')?.scale)
  })

  it('adjusts means alone where a weight has one scale, and says so', async () => {
    const { model, report } = await quantized(true, ['batchnorm-reestimation'])
    expect(report.algorithms[0]?.notes.join()).toContain('one scale')
    expect((await distance(model, 'c2')).mean).toBeLessThan(1e-4)
  })
})
