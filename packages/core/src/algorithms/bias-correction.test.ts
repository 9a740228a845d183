import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Feeds, probeModel } from '../engine/index.ts'
import { type Model, parseModel, Tensor } from '../ir/index.ts'
import { type QuantizeResult, quantize } from '../pipeline/index.ts'
import type { OptionValue } from '../util/index.ts'
import type { CorrectedLayer } from './bias-correction/empirical.ts'

const engine = nodeEngine({ threads: 1 })

/** Pictures that are far from zero on average, so that errors of weights shift means. */
const pictures = (channels: number, count = 16): Feeds[] =>
  normalData({ x: [1, channels, 8, 8] }, count).map(({ x }) => ({
    x: Tensor.float32(
      x!.dims,
      x!.numbers().map((v) => v + 1),
    ),
  }))

function corrected(model: Model, samples: readonly Feeds[], options: Record<string, OptionValue>, target = 'academic') {
  return quantize(model, {
    engine,
    target,
    scheme: target === 'academic' ? 'w3a8' : 'w8a8',
    perTensor: true,
    smallLayers: 'integer',
    calibration: { data: memoryData(samples), observer: 'minmax' },
    algorithms: [{ name: 'bias-correction', options }],
  })
}

/** Mean of each channel of a value, over all samples, one at a time. */
async function channelMeans(model: Model, value: string, channels: number, samples: readonly Feeds[]) {
  const session = await engine.load(probeModel(model, [value]), { optimization: 'none' })
  const sums = new Float64Array(channels)
  let count = 0
  for (const feeds of samples) {
    const y = (await session.run(feeds))[value]!.numbers()
    const size = y.length / channels
    for (const [i, v] of y.entries()) sums[Math.floor(i / size)]! += v
    count += size
  }
  await session.release()
  return Array.from(sums, (s) => s / count)
}

const layersOf = ({ report }: QuantizeResult) => report.algorithms[0]?.details?.layers as CorrectedLayer[]

describe('empirical bias correction', () => {
  const samples = pictures(4)
  const float = fixture('residual')
  let results: Record<'none' | 'sequential' | 'once', QuantizeResult>

  beforeAll(async () => {
    const base = { engine, target: 'academic', scheme: 'w3a8', perTensor: true }
    const calibration = { data: memoryData(samples), observer: 'minmax' }
    results = {
      none: await quantize(float, { ...base, calibration }),
      sequential: await corrected(float, samples, {}),
      once: await corrected(float, samples, { sequential: false }),
    }
  })

  /** Greatest difference of a channel's mean from float, over the channels of a layer. */
  async function worstShift({ model }: QuantizeResult, value: string): Promise<number> {
    const [q, f] = [await channelMeans(model, value, 4, samples), await channelMeans(float, value, 4, samples)]
    return Math.max(...q.map((m, c) => Math.abs(m - f[c]!)))
  }

  it('gives every layer the mean of float in each channel, those behind other layers too', async () => {
    expect(layersOf(results.sequential).map(({ reverted }) => reverted)).toEqual([false, false, false])
    for (const value of ['c1', 'c2', 'y']) {
      expect(await worstShift(results.none, value)).toBeGreaterThan(0.01)
      // This target's biases are float: what is left are sums in other orders.
      expect(await worstShift(results.sequential, value)).toBeLessThan(1e-5)
    }
  })

  it('is taken back where it makes the outputs worse, as all layers at once do: they correct twice what earlier ones cause', async () => {
    const { report, diagnostics } = results.once
    const [record] = report.algorithms
    expect(record).toMatchObject({ undone: true, changed: 3 })
    expect(record?.sqnr?.after).toBeLessThan(record?.sqnr?.before ?? 0)
    expect(diagnostics.filter(({ code }) => code === 'ALGORITHM_UNDONE')).toHaveLength(1)
    for (const value of ['c1', 'c2', 'y']) {
      expect(await worstShift(results.once, value)).toBe(await worstShift(results.none, value))
    }
  })

  it('says what SQNR it found before and after, and that it rose', () => {
    const [record] = results.sequential.report.algorithms
    expect(record?.sqnr?.after).toBeGreaterThan(record?.sqnr?.before ?? Number.POSITIVE_INFINITY)
    expect(record).toMatchObject({ stage: 'finish', changed: 3 })
  })

  it('leaves a layer alone whose shift is another one in every second run', async () => {
    // One weight is rounded up: inputs of both signs in turn shift the output up and down.
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]>
      main (float32[1,1,1,2] x) => (float32[1,1,1,1] y) <float32[1,1,1,2] w = {1, 0.5}, float32[1] b = {0}> {
        [conv] y = Conv(x, w, b) }`)
    const alternating = Array.from({ length: 8 }, (_, i) => ({
      x: Tensor.float32([1, 1, 1, 2], i % 2 ? [1, 3] : [-1, -3]),
    }))
    const steady = alternating.map(() => ({ x: Tensor.float32([1, 1, 1, 2], [1, 3]) }))
    const options = { samples: 8 }
    const away = await corrected(model, alternating, options)
    expect(layersOf(away)).toMatchObject([{ node: 'conv', reverted: true }])
    expect(away.report.algorithms[0]?.notes.join()).toContain('conv')
    expect(away.report.algorithms[0]?.changed).toBe(0)
    expect(layersOf(await corrected(model, steady, options))).toMatchObject([{ node: 'conv', reverted: false }])
  })
})

describe('bias correction on integer kernels', () => {
  it('moves means of the network that runs there', async () => {
    const samples = pictures(3)
    const { model, report } = await corrected(fixture('convolutional'), samples, {}, 'onnxruntime')
    expect(layersOf({ report } as QuantizeResult)[0]).toMatchObject({ node: 'Conv', reverted: false })
    const [q, f] = [
      await channelMeans(model, 'n', 6, samples),
      await channelMeans(fixture('convolutional'), 'n', 6, samples),
    ]
    for (const [c, m] of q.entries()) expect(m).toBeCloseTo(f[c]!, 3)
  })
})

describe('analytic bias correction', () => {
  /** BatchNormalization of what is normal and independent, so that its statistics are the truth. */
  const model = () =>
    parseModel(`<ir_version = 8, opset_import = ["": 17]>
    main (float32[N,3,8,8] x) => (float32[N,2,8,8] y) <
      float32[3] gamma = {0.5, 2, 1}, float32[3] beta = {0.3, -1, 2}, float32[3] mean = {0, 0, 0}, float32[3] var = {1, 1, 1},
      float32[4,3,1,1] w = {0.9, -0.31, 0.17, 0.23, 0.11, -0.47, -0.77, 0.08, 0.29, 0.05, 0.61, 0.36}, float32[3,3,1,1] w0 = {1, 0, 0, 0, 1, 0, 0, 0, 1},
      float32[2,4,1,1] w2 = {1, 1, 1, 1, -1, 1, -1, 1}> {
      [first] a = Conv(x, w0) n = BatchNormalization<epsilon = 0.0>(a, gamma, beta, mean, var) r = Relu(n) [conv] c = Conv(r, w) s = Relu(c)
      [last] y = Conv(s, w2) }`)

  it('finds what measuring finds, without data, where values are normal', async () => {
    const samples = normalData({ x: [1, 3, 8, 8] }, 128)
    const shifts = async (method: string) => {
      const { float, report } = await corrected(model(), samples, { method, samples: 128 })
      const conv = [...float.graph.nodes].find(({ name }) => name === 'conv')
      expect(report.algorithms[0]?.undone).toBeUndefined()
      return Array.from(conv?.inputs[2]?.constant?.numbers() ?? [])
    }
    const [analytic, empirical] = [await shifts('analytic'), await shifts('empirical')]
    expect(Math.max(...empirical.map(Math.abs))).toBeGreaterThan(0.02)
    // The mean of 8,192 positions errs by 1/90 of the deviation of the error, which is about the shift.
    for (const [c, shift] of analytic.entries()) expect(Math.abs(shift - empirical[c]!)).toBeLessThan(0.005)
  })

  it('says which layers it knows nothing of', async () => {
    const { report } = await corrected(model(), normalData({ x: [1, 3, 8, 8] }, 8), { method: 'analytic' })
    expect(report.algorithms[0]).toMatchObject({ changed: 2, notes: [expect.stringContaining('first')] })
  })
})
