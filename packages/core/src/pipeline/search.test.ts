import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it, vi } from 'vitest'
import type { Dataset, Feeds } from '../engine/index.ts'
import { attribute, GraphBuilder, Model, serializeModel, Tensor, tensorType, type Value } from '../ir/index.ts'
import { rng } from '../util/index.ts'
import { type QuantizeOptions, type QuantizeResult, quantize } from './quantize.ts'

// Clocks have no part in what is chosen, and measuring them takes longer than all the rest.
vi.mock('./latency.ts', () => ({ measureLatency: async () => ({ float: 1, quantized: 1, ratio: 1 }) }))

const engine = nodeEngine({ threads: 1 })

/** Four observers, three trials by readers, three observers more for each of eight tensors, fourteen nodes alone and together. */
const MOST_TRIALS = 4 + 3 + 3 * 8 + 2 * 14

class Net {
  readonly model = new Model()
  readonly b = new GraphBuilder(this.model.graph)
  readonly #random = rng(3)

  constructor() {
    this.model.opsets.set('', 17)
    this.model.irVersion = 8
  }

  input = (name: string, dims: readonly number[]): Value => this.b.input(name, tensorType('float32', ['N', ...dims]))

  weight(name: string, dims: readonly number[], value?: (i: number) => number): Value {
    const size = dims.reduce((n, d) => n * d, 1)
    const values = Float32Array.from({ length: size }, (_, i) => value?.(i) ?? 0.2 * this.#random.normal())
    return this.b.constant(name, Tensor.float32(dims, values))
  }

  gemm(name: string, x: Value, w: Value): Value {
    return this.b.op('Gemm', [x, w], {}, { name, output: name })
  }

  convRelu(name: string, x: Value, channels: number): Value {
    const w = this.weight(`${name}.w`, [channels, channels, 3, 3])
    const y = this.b.op('Conv', [x, w], { pads: attribute.ints([1, 1, 1, 1]) }, { name })
    return this.b.op('Relu', [y], {}, { name: `${name}.relu`, output: `${name}.y` })
  }

  /** x times one, but for its first elements, which become a thousand times larger than all others. */
  withOutliers(name: string, x: Value, size: number, outliers: number): Value {
    return this.b.op('Mul', [x, this.weight(`${name}.k`, [size], (i) => (i < outliers ? 1000 : 1))], {}, { name })
  }

  done(outputs: Readonly<Record<string, number>>, values: readonly Value[]): Model {
    for (const value of values) this.b.output(value).type = tensorType('float32', ['N', outputs[value.name] ?? 1])
    return this.model
  }
}

const choose = (model: Model, data: Dataset, options: Partial<QuantizeOptions> = {}): Promise<QuantizeResult> =>
  quantize(model, { engine, calibration: { data, samples: 32 }, ...options })

const flatten = (net: Net, x: Value): Value => net.b.op('Flatten', [x])

/** Three convolutions of a third of the arithmetic each, and a head whose input one element dominates. */
function outlierHead(): Model {
  const net = new Net()
  let x = net.input('x', [16, 8, 8])
  for (const name of ['c1', 'c2', 'c3']) x = net.convRelu(name, x, 16)
  const pooled = flatten(net, net.b.op('GlobalAveragePool', [x]))
  const spread = net.withOutliers('spread', pooled, 16, 1)
  // The large element enters with a small weight, so that all sixteen matter alike.
  const w = net.weight('fc.w', [16, 4], (i) => (i < 4 ? 1e-3 : 1) * Math.cos(i))
  return net.done({ fc: 4 }, [net.gemm('fc', spread, w)])
}

const pictures = (): Dataset => memoryData(normalData({ x: [1, 16, 8, 8] }, 32))

describe('what the search leaves in float', () => {
  it('is the layer that an outlier spoils, and nothing else', async () => {
    const { plan, report } = await choose(outlierHead(), pictures())
    const { choice } = report
    expect(choice.floatNodes).toEqual(['fc'])
    expect(plan.nodes.find((n) => n.node === 'fc')).toMatchObject({ decision: 'float', reason: { code: 'FLOAT_NODE' } })
    expect(plan.nodes.filter((n) => /^c\d$/.test(n.node)).map((n) => n.decision)).toEqual(Array(3).fill('integer'))
    const [first, last] = [bestOf(choice.trials.slice(0, 4)), bestOf(choice.trials)]
    // On its own the head loses nearly everything; without it, what is left is the error of three convolutions.
    expect(first).toBeLessThan(10)
    expect(last).toBeGreaterThan(20)
    expect(choice.trials.length).toBeLessThanOrEqual(MOST_TRIALS)
  })

  it('is nothing where an override demands integers', async () => {
    const overrides = [{ match: { name: 'fc' }, scheme: 'w8a8' }]
    const { plan } = await choose(outlierHead(), pictures(), { overrides })
    expect(plan.nodes.find((n) => n.node === 'fc')?.decision).toBe('integer')
  })

  it('may make others choose the range of what an override had an observer for', async () => {
    const overrides = [{ match: { name: 'fc' }, observer: 'minmax' }]
    const { report } = await choose(outlierHead(), pictures(), { overrides })
    expect(report.choice.floatNodes).toContain('fc')
  })

  it('stays within the share of arithmetic that may be spent', async () => {
    const { plan, report } = await choose(fourHeads(), memoryData(normalData({ x: [1, 16, 8, 8] }, 32)))
    const macs = (pick: (name: string) => boolean) =>
      plan.nodes.filter((n) => pick(n.node)).reduce((sum, n) => sum + (n.macs ?? 0), 0)
    const { floatNodes } = report.choice
    // Each head is 5.9 % of the arithmetic, all are equally bad, and 15 % may be spent on a network this poor.
    expect(floatNodes).toHaveLength(2)
    expect(floatNodes.every((name) => name.startsWith('head'))).toBe(true)
    expect(macs((name) => floatNodes.includes(name)) / macs(() => true)).toBeLessThanOrEqual(0.15)
    expect(report.choice.trials.length).toBeLessThanOrEqual(MOST_TRIALS)
  })
})

/** A convolution and four heads, each on outliers of its own, with 1024 · 11 products each. */
function fourHeads(): Model {
  const net = new Net()
  const x = net.input('x', [16, 8, 8])
  const flat = flatten(net, net.convRelu('body', x, 16))
  const heads = [0, 1, 2, 3].map((i) => {
    const spread = net.withOutliers(`spread${i}`, flat, 1024, 8)
    return net.gemm(
      `head${i}`,
      spread,
      net.weight(`w${i}`, [1024, 11], (k) => (k < 88 ? 1e-3 : 0.3) * Math.cos(k + i)),
    )
  })
  return net.done(Object.fromEntries(heads.map((h) => [h.name, 11])), heads)
}

const bestOf = (trials: readonly { sqnr: number }[]): number => Math.max(...trials.map((t) => t.sqnr))

describe('what the search does where nothing is lost', () => {
  /** Integers from 0 to 255 times integers from −127 to 127, extremes included: 8 bits hold both exactly. */
  function exact(): { model: Model; data: Dataset } {
    const net = new Net()
    const w = net.weight('w', [16, 4], (i) => (i < 4 ? 127 : ((i * 37) % 255) - 127))
    const model = net.done({ y: 4 }, [net.gemm('y', net.input('x', [16]), w)])
    const row = (n: number): Feeds => ({
      x: Tensor.float32(
        [1, 16],
        Float32Array.from({ length: 16 }, (_, i) => (i === 0 ? 255 : (i * 29 + n * 53) % 256)),
      ),
    })
    return { model, data: memoryData(Array.from({ length: 32 }, (_, n) => row(n))) }
  }

  it('ends after one trial for each observer, with everything in integers', async () => {
    const { model, data } = exact()
    const { report, plan } = await choose(model, data)
    expect(report.choice.trials).toHaveLength(4)
    expect(report.choice).toMatchObject({ floatNodes: [], observers: {} })
    expect(plan.nodes.map((n) => n.decision)).toEqual(['integer'])
    expect(bestOf(report.choice.trials)).toBe(Number.POSITIVE_INFINITY)
    expect(report.choice.trials.filter((t) => t.kept).at(-1)?.sqnr).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('observers of single tensors', () => {
  /** `a` has rare large values that are all that counts; `b` has a rare large value that nobody reads. */
  function opposed(): { model: Model; data: Dataset } {
    const net = new Net()
    const [a, b] = [net.input('a', [256]), net.input('b', [256])]
    const ones = net.weight('wa', [256, 4], (i) => (i < 4 ? 20 / 127 : ((i * 37) % 255) / 127 - 1))
    const blind = net.weight('wb', [256, 4], (i) => (i < 4 ? 0 : ((i * 41) % 255) / 127 - 1))
    const model = net.done({ ya: 4, yb: 4 }, [net.gemm('ya', a, ones), net.gemm('yb', b, blind)])
    const random = rng(9)
    const samples = Array.from({ length: 64 }, (_, n): Feeds => {
      const codes = Float32Array.from({ length: 256 }, () => 4 * random.int(3))
      const reals = Float32Array.from({ length: 256 }, () => random.next())
      if (n === 2) codes[0] = reals[0] = 1020
      return { a: Tensor.float32([1, 256], codes), b: Tensor.float32([1, 256], reals) }
    })
    return { model, data: memoryData(samples) }
  }

  it('clip the tensor whose extremes are noise and keep those of the other', async () => {
    const { model, data } = opposed()
    const { report, plan } = await choose(model, data, { calibration: { data, samples: 64 } })
    const { choice } = report
    expect(choice.observers).toEqual({ b: 'percentile' })
    const observers = plan.tensors.flatMap(({ value, source }) =>
      source.kind === 'calibrate' ? [[value, source.observer]] : [],
    )
    expect(observers).toEqual([
      ['a', choice.observer],
      ['b', 'percentile'],
    ])
    expect(choice.observer).not.toBe('percentile')
    expect(bestOf(choice.trials)).toBeGreaterThan(bestOf(choice.trials.slice(0, 4)) + 3)
    expect(choice.floatNodes).toEqual([])
  })

  it('are not searched when an observer is named', async () => {
    const data = pictures()
    const { report, recipe } = await choose(outlierHead(), data, {
      calibration: { data, samples: 32, observer: 'minmax' },
    })
    expect(report.choice.trials.map((t) => [t.what, t.kept])).toEqual([['observer minmax', true]])
    expect(recipe.choice).toEqual({ observer: 'minmax', observers: {}, floatNodes: [] })
  })
})

describe('the record of a search', () => {
  it('ends with the SQNR that the written model has on the first 16 samples, about the mean of the outputs', async () => {
    const float = outlierHead()
    const { model, report } = await choose(float, pictures())
    const feeds = normalData({ x: [1, 16, 8, 8] }, 16)
    const [r, c] = [await outputs(float, feeds), await outputs(model, feeds)]
    const mean = r.reduce((a, b) => a + b, 0) / r.length
    const signal = r.reduce((sum, v) => sum + (v - mean) ** 2, 0)
    const noise = r.reduce((sum, v, i) => sum + ((c[i] as number) - v) ** 2, 0)
    // Sums in float64 on both sides; the networks run in batches of another size, which moves floats by rounding only.
    expect(report.choice.trials.filter((t) => t.kept).at(-1)?.sqnr).toBeCloseTo(10 * Math.log10(signal / noise), 2)
  })

  it('is the same the second time, and so are plan and bytes', async () => {
    const runs = [await choose(outlierHead(), pictures()), await choose(outlierHead(), pictures())]
    const [first, second] = runs.map(({ model, plan, recipe, report }) => ({
      recipe,
      plan,
      trials: report.choice.trials,
      bytes: Buffer.from(serializeModel(model)).toString('base64'),
    }))
    expect(second).toEqual(first)
  })
})

async function outputs(model: Model, feeds: readonly Feeds[]): Promise<number[]> {
  const session = await engine.load(serializeModel(model))
  const rows: number[] = []
  for (const sample of feeds) rows.push(...((await session.run(sample)).fc?.numbers() ?? []))
  await session.release()
  return rows
}
