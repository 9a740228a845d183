import { nodeEngine } from '@fewbit/engine-node'
import { type FixtureName, fixture, memoryData, normalData, quantizedNetwork, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { collectStats } from '../calibration/index.ts'
import { type Feeds, probeModel } from '../engine/index.ts'
import { type Model, Tensor, valuesByName } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { groupsOf, quantize } from '../quant/index.ts'
import { barsOf } from './bars.ts'
import { distributionOf } from './distribution.ts'
import type { QuantizedNetwork } from './layerwise.ts'
import { analysisSchema } from './report-schema.ts'
import type { TensorReport } from './report-tensor-schema.ts'
import { reportRequests, tensorReports } from './tensor-reports.ts'

const engine = nodeEngine({ threads: 1 })

async function reportsOf(network: QuantizedNetwork, feeds: readonly Feeds[]): Promise<TensorReport[]> {
  const stats = await collectStats(network.float, engine, memoryData(feeds), reportRequests(network, defaultOps))
  return tensorReports(network, stats, defaultOps)
}

const quantized = (name: FixtureName, feeds: readonly Feeds[]) =>
  quantizedNetwork(fixture(name), engine, memoryData(feeds))

async function elements(model: Model, name: string, feeds: readonly Feeds[]): Promise<number[]> {
  const found: number[] = []
  const probed = probeModel(model, [name])
  for (const sample of feeds)
    found.push(...((await runModel(engine, probed, sample))[name]?.numbers() ?? sample[name]?.numbers() ?? []))
  return found
}

/** Moments as the textbook has them, in two passes. */
function moments(values: readonly number[]) {
  const mean = values.reduce((a, b) => a + b) / values.length
  const central = (k: number) => values.reduce((sum, x) => sum + (x - mean) ** k, 0) / values.length
  const std = Math.sqrt(central(2))
  return { mean, std, skew: central(3) / std ** 3, kurtosis: central(4) / std ** 4 }
}

describe('distributionOf', () => {
  it('has the moments of a case worked by hand', () => {
    // d = −3, −2, −1, 0, 6: Σd² = 50, Σd³ = 180, Σd⁴ = 1394.
    const found = distributionOf([1, 2, 3, 4, 10])
    expect(found).toMatchObject({ count: 5, min: 1, max: 10, mean: 4 })
    expect(found.std).toBeCloseTo(Math.sqrt(10), 12)
    expect(found.skew).toBeCloseTo(36 / 10 ** 1.5, 12)
    expect(found.kurtosis).toBeCloseTo(278.8 / 100, 12)
    expect(found.histogram.counts.reduce((a, b) => a + b)).toBe(5)
  })

  it('holds for constants, nothing, and what is not finite', () => {
    expect(distributionOf([2, 2])).toMatchObject({ mean: 2, std: 0, skew: 0, kurtosis: 0 })
    expect(distributionOf([])).toMatchObject({ count: 0, min: 0, max: 0, histogram: { counts: [] } })
    expect(distributionOf([1, NaN]).histogram.counts).toEqual([])
  })
})

describe('barsOf', () => {
  it('adds neighbours until they are few, and moves no element over an edge', () => {
    const counts = Float64Array.from({ length: 1000 }, (_, i) => i)
    const bars = barsOf({ width: 0.5, first: -300, counts })
    expect(bars.counts.length).toBeLessThanOrEqual(128)
    expect(bars.edges.length).toBe(bars.counts.length + 1)
    bars.counts.forEach((n, b) => {
      const [lo, hi] = [bars.edges[b] as number, bars.edges[b + 1] as number]
      const inside = counts.reduce((sum, c, i) => sum + ((i - 300) / 2 >= lo && (i - 300) / 2 < hi ? c : 0), 0)
      expect(n).toBe(inside)
    })
  })
})

describe('tensorReports', () => {
  const feeds = normalData({ x: [1, 4, 8, 8] }, 6)

  it('says of activations what their elements say', async () => {
    const network = await quantized('residual', feeds)
    const reports = (await reportsOf(network, feeds)).filter(({ role }) => role === 'activation')
    expect(reports.map((r) => r.value)).toEqual(
      network.plan.tensors.filter((t) => t.role === 'activation').map((t) => t.value),
    )
    for (const report of reports) {
      const values = await elements(network.float, report.value, feeds)
      const { mean, std, skew, kurtosis } = moments(values)
      expect(report.count).toBe(values.length)
      // The engine's optimizer may add a convolution's products in another order.
      expect(report.min).toBeCloseTo(Math.min(...values), 5)
      expect(report.max).toBeCloseTo(Math.max(...values), 5)
      // The engine sums in float32.
      expect(report.mean).toBeCloseTo(mean, 4)
      expect(report.std).toBeCloseTo(std, 4)
      // Bins are a few thousandths of the range wide.
      expect(report.skew).toBeCloseTo(skew, 1)
      expect(report.kurtosis / kurtosis).toBeCloseTo(1, 2)
      const { group } = network.plan.tensors.find((t) => t.value === report.value) as { group: string }
      const params = network.params.get(group) as Parameters<typeof quantize>[1]
      const zeros = quantize(values, params).filter((q) => q === params.zeroPoint[0]).length / values.length
      expect(Math.abs((report.zeros ?? NaN) - zeros)).toBeLessThan(0.01)
      expect(report.saturated).toBe(0)
      expect(report.histogram.counts.reduce((a, b) => a + b)).toBe(values.length)
    }
  })

  it('counts what lies outside of a range that was chosen too small', async () => {
    const network = await quantized('residual', feeds)
    const [x] = network.plan.tensors
    const group = x?.group as string
    const params = network.params.get(group) as Parameters<typeof quantize>[1]
    const halved = { ...params, scale: params.scale.map((s) => s / 2), zeroPoint: [128] }
    const small = { ...network, params: new Map(network.params).set(group, halved) }
    const report = (await reportsOf(small, feeds)).find((r) => r.value === x?.value)
    const values = await elements(network.float, 'x', feeds)
    const step = halved.scale[0] as number
    const outside = values.filter((v) => v < -128.5 * step || v > 127.5 * step).length
    expect(outside).toBeGreaterThan(10)
    expect(Math.abs((report?.saturated as number) * values.length - outside)).toBeLessThan(1)
    expect(report?.quantization).toMatchObject({ lo: -128 * step, hi: 127 * step, scales: 1, granularity: 'tensor' })
  })

  it('says of weights what their elements and codes say, and which channels are dead', async () => {
    const model = fixture('residual')
    const weight = valuesByName(model.graph).get('w1')
    const numbers = Array.from(weight?.constant?.numbers() ?? [])
    if (weight) weight.constant = Tensor.float32([4, 4, 3, 3], numbers.fill(0, 36, 72))
    const network = await quantizedNetwork(model, engine, memoryData(feeds))
    const report = (await reportsOf(network, feeds)).find((r) => r.value === 'w1')
    const channel = (c: number) => numbers.slice(36 * c, 36 * c + 36)
    expect(report?.channels).toMatchObject({
      ...{ axis: 0, dead: [1] },
      min: [0, 1, 2, 3].map((c) => Math.fround(Math.min(...channel(c)))),
    })
    const ranges = [0, 2, 3].map((c) => Math.max(...channel(c)) - Math.min(...channel(c)))
    expect(report?.channels?.rangeRatio).toBeCloseTo(Math.max(...ranges) / Math.min(...ranges), 5)
    const params = network.params.get('w1') as Parameters<typeof quantize>[1]
    const zeros = quantize(numbers, params, [4, 4, 3, 3]).filter((q) => q === 0).length
    expect(zeros).toBeGreaterThanOrEqual(36)
    expect(report?.zeros).toBe(zeros / 144)
    expect(report).toMatchObject({ role: 'weight', dims: [4, 4, 3, 3], saturated: 0 })
    expect(report?.kurtosis).toBeCloseTo(moments(numbers).kurtosis, 6)
  })

  it('compares a shared range with that of each tensor on it', async () => {
    const network = await quantized('branches', feeds)
    const reports = await reportsOf(network, feeds)
    const groups = [...groupsOf(network.plan).values()]
    const shared = groups.filter((members) => members.length > 1 && members.every((t) => t.role === 'activation'))
    expect(shared.length).toBeGreaterThan(0)
    for (const members of shared) {
      const all = await Promise.all(members.map(({ value }) => elements(network.float, value, feeds)))
      const range = (values: number[]) => Math.max(0, ...values) - Math.min(0, ...values)
      members.forEach(({ value }, i) => {
        const ratio = reports.find((r) => r.value === value)?.groupRatio
        expect(ratio).toBeCloseTo(range(all.flat()) / range(all[i] as number[]), 4)
      })
    }
  })

  it('says how much of int32 a bias takes', async () => {
    const network = await quantized('residual', feeds)
    const report = (await reportsOf(network, feeds)).find((r) => r.value === 'b1')
    const numbers = valuesByName(network.float.graph).get('b1')?.constant?.numbers() ?? []
    const { scale } = network.params.get('b1') as { scale: readonly number[] }
    const codes = Array.from(numbers, (b, c) => Math.abs(b / (scale[c] as number)))
    expect(report?.biasReach).toBeCloseTo(Math.max(...codes) / 2147483648, 12)
  })

  it('fits the document', async () => {
    const network = await quantized('attention', normalData({ x: [1, 6, 8] }, 2))
    const reports = await reportsOf(network, normalData({ x: [1, 6, 8] }, 2))
    expect(analysisSchema.shape.tensors.parse(reports)).toEqual(reports)
    // Features of a sequence are on its last axis.
    expect(reports.find((r) => r.value === 'n')?.channels).toMatchObject({ axis: 2 })
  })
})
