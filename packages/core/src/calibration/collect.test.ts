import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import type { Dataset, Engine } from '../engine/index.ts'
import { Graph, GraphBuilder, Model, Tensor, tensorType } from '../ir/index.ts'
import { observe } from '../observers/index.ts'
import { quantSpec } from '../quant/index.ts'
import { digest, rng } from '../util/index.ts'
import {
  collectStats,
  mergeRequests,
  type StatRequest,
  statsDigest,
  statsFromJSON,
  statsOf,
  statsToJSON,
  type TensorStats,
} from './index.ts'

const CHANNELS = 6
const SIDE = 16

/** y = Relu(x · w), z = Log(y + 1) over N×6×16×16, with one weight a channel. */
function model(opset = 13): Model {
  const m = new Model(new Graph())
  m.opsets.set('', opset)
  const b = new GraphBuilder(m.graph)
  const shape = ['N', CHANNELS, SIDE, SIDE]
  const types = [tensorType('float32', shape)]
  const x = b.input('x', types[0])
  const w = b.constant('w', Tensor.float32([CHANNELS, 1, 1], [1, -2, 0.5, 8, -0.25, 3]))
  const one = b.constant('one', Tensor.float32([1], [1]))
  const y = b.op('Relu', [b.op('Mul', [x, w], {}, { output: 'm', types })], {}, { output: 'y', types })
  b.output(b.op('Log', [b.op('Add', [y, one], {}, { output: 'a', types })], {}, { output: 'z', types }))
  return m
}

const samplesOf = (count: number): Float32Array[] => {
  const random = rng(7)
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: CHANNELS * SIDE * SIDE }, () => random.normal()),
  )
}

function dataset(samples: readonly Float32Array[]): Dataset {
  return {
    name: 'made',
    length: samples.length,
    async *samples() {
      for (const [i, x] of samples.entries()) {
        yield { id: `sample ${i}`, feeds: { x: Tensor.float32([1, CHANNELS, SIDE, SIDE], x) } }
      }
    },
    toJSON: () => ({}),
  }
}

const WEIGHTS = [1, -2, 0.5, 8, -0.25, 3]
const products = (samples: readonly Float32Array[]): Float32Array =>
  Float32Array.from(samples.flatMap((s) => Array.from(s, (v, i) => v * (WEIGHTS[Math.floor(i / SIDE ** 2)] as number))))

const histogram = (...values: string[]): StatRequest[] => values.map((value) => ({ value, wants: ['histogram'] }))
const all = { elements: Number.POSITIVE_INFINITY }

describe('collectStats', () => {
  const engine = nodeEngine()
  const samples = samplesOf(12)

  it.each([7, 9, 13, 18, 21])('measures what a plain loop measures, at opset %i', async (opset) => {
    const m = products(samples)
    const table = await collectStats(model(opset), engine, dataset(samples), histogram('y', 'x', 'm'), all)
    expect([...table.keys()]).toEqual(['x', 'm', 'y'])
    expect(table.get('m')).toEqual(statsOf(m))
    expect(table.get('y')).toEqual(statsOf(m.map((v) => Math.max(v, 0))))
  })

  it.each([13, 18])('measures channels, at opset %i', async (opset) => {
    const table = await collectStats(model(opset), engine, dataset(samples), [
      { value: 'm', wants: ['minmax'], channelAxis: 1 },
    ])
    const { channels, histogram: none } = table.get('m')!
    const expected = products(samples)
    const channel = (c: number) => expected.filter((_, i) => Math.floor(i / SIDE ** 2) % CHANNELS === c)
    expect(none).toBeUndefined()
    expect(channels?.axis).toBe(1)
    for (let c = 0; c < CHANNELS; c++) {
      expect([channels?.min[c], channels?.max[c]]).toEqual([Math.min(...channel(c)), Math.max(...channel(c))])
    }
  })

  it('gives the same statistics however the data are batched, sampled or not', async () => {
    for (const options of [all, { elements: 3000 }, {}]) {
      const digests = []
      for (const batchSize of [1, 5, 12]) {
        digests.push(
          statsDigest(
            await collectStats(model(), engine, dataset(samples), histogram('m', 'z'), { ...options, batchSize }),
          ),
        )
      }
      expect(new Set(digests).size).toBe(1)
    }
  })

  it('chooses the same ranges from a sample as from everything', async () => {
    const many = samplesOf(400)
    const sampled = await collectStats(model(), engine, dataset(many), histogram('m', 'y'), { batchSize: 50 })
    const full = await collectStats(model(), engine, dataset(many), histogram('m', 'y'), { ...all, batchSize: 50 })
    const spec = quantSpec({ bits: 8, signed: false, symmetric: false })
    for (const value of ['m', 'y']) {
      const [a, b] = [sampled.get(value)!, full.get(value)!]
      const inBins = (stats: TensorStats) => stats.histogram!.counts.reduce((sum, n) => sum + n)
      expect(Math.abs(inBins(a) / a.count - 1)).toBeLessThan(0.01)
      expect(a.histogram).not.toEqual(b.histogram)
      expect([a.min, a.max, a.count]).toEqual([b.min, b.max, b.count])
      // A sixth of the elements, from six distributions of different width, and the tails in full. Entropy, whose optimum is
      // flat, moves by a sixth of the range; the others by two steps of their search.
      for (const name of ['minmax', 'percentile', 'mse', 'entropy']) {
        const [mine, whole] = [observe(name, a, spec), observe(name, b, spec)]
        const moved = Math.max(Math.abs(mine.lo - whole.lo), Math.abs(mine.hi - whole.hi)) / (whole.hi - whole.lo)
        expect(moved, `${name} of ${value}`).toBeLessThan(name === 'entropy' ? 1 / 6 : 0.02)
      }
    }
  })

  it('measures moments, elements in their order, and margins', async () => {
    const wants = ['moments', 'series', 'margins'] as const
    const table = await collectStats(model(), engine, dataset(samples), [{ value: 'm', wants }], all)
    const { moments, series, margins, histogram: none } = table.get('m')!
    const m = products(samples)
    const sum = (of: (v: number) => number) => m.reduce((total, v) => total + of(v), 0)
    // Sums of 18,432 float32 numbers.
    const near = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-4)
    near(moments!.sumOfMagnitudes, sum(Math.abs))
    near(
      moments!.sumOfSquares,
      sum((v) => v * v),
    )
    expect(Math.abs(moments!.sum - sum((v) => v))).toBeLessThan(1e-4 * sum(Math.abs))
    expect(none).toBeUndefined()
    expect(series).toHaveLength(samples.length)
    for (const [i, x] of samples.entries()) {
      const values = products([x])
      expect(series![i]).toEqual({ ...statsOf(values, []), values })
    }
    // Classes are channels: of 12 · 256 rows of 6 scores, the first 1024 are kept.
    expect(margins).toHaveLength(2 * 1024)
    const scores = Array.from({ length: CHANNELS }, (_, c) => m[c * SIDE ** 2] as number).toSorted((a, b) => b - a)
    expect([...margins!.slice(0, 2)]).toEqual(scores.slice(0, 2))
  })

  it('keeps a record of each sample however they are batched', async () => {
    const request: StatRequest[] = [{ value: 'y', wants: ['series'] }]
    const one = await collectStats(model(), engine, dataset(samples), request, { elements: 500, batchSize: 1 })
    const five = await collectStats(model(), engine, dataset(samples), request, { elements: 500, batchSize: 5 })
    expect(five).toEqual(one)
  })

  it('takes every element of a period in turn', async () => {
    // Columns of different magnitude: a stride in step with the rows would see some columns only. The largest magnitude pads two
    // columns, so that no element exceeds the least maximum of any block: the sample alone speaks.
    const striped = Array.from({ length: 8 }, () =>
      Float32Array.from({ length: CHANNELS * SIDE * SIDE }, (_, i) => i % SIDE),
    )
    const table = await collectStats(model(), engine, dataset(striped), histogram('x'), { elements: 768 })
    const { width, counts } = table.get('x')!.histogram!
    const perColumn = Array.from({ length: SIDE }, (_, c) => counts[Math.floor(c / width)] as number)
    // Each pick stands for 17 elements, and eight samples take 90 or 91 each.
    expect(Math.max(...perColumn) - Math.min(...perColumn)).toBeLessThanOrEqual(2 * 17)
  })

  it('counts every element of the tails', async () => {
    // A spike in every sample, each elsewhere, that a sample of one in a hundred mostly misses.
    const spiked = samplesOf(40).map((x, i) => x.map((v, j) => (j === 37 * i ? 100 + i : v)))
    const table = await collectStats(model(), engine, dataset(spiked), histogram('x'), { elements: 600, batchSize: 7 })
    const { width, first, counts } = table.get('x')!.histogram!
    const beyond = counts.reduce((sum, n, bin) => ((first + bin) * width >= 99 ? sum + n : sum), 0)
    expect(beyond).toBe(40)
  })

  it.each([
    ['NaN in the data', 0, Number.NaN, 'x'],
    ['NaN in one place of many', 700, Number.NaN, 'x'],
    ['an infinity', 3, Number.POSITIVE_INFINITY, 'x'],
  ])('names the first value that is not finite: %s', async (_, index, bad, value) => {
    const poisoned = samplesOf(3)
    poisoned[1]![index as number] = bad as number
    const run = collectStats(model(), engine, dataset(poisoned), histogram('y', 'x', 'z'), { elements: 64 })
    await expect(run).rejects.toMatchObject({ code: 'CALIB_NONFINITE' })
    await expect(run).rejects.toThrow(`"${value}"`)
    await expect(run).rejects.toThrow('sample 1')
  })

  it('refuses what it cannot measure', async () => {
    await expect(collectStats(model(), engine, dataset([]), histogram('y'))).rejects.toThrow('CALIB_EMPTY')
    await expect(collectStats(model(), engine, dataset(samples), histogram('no'))).rejects.toThrow('CALIB_VALUE')
  })

  it('stops when told to, at a number of samples or by a signal', async () => {
    const done: number[] = []
    const onProgress = ({ samples: n }: { samples: number }) => done.push(n)
    const table = await collectStats(model(), engine, dataset(samples), histogram('x'), {
      ...all,
      samples: 5,
      batchSize: 2,
      onProgress,
    })
    expect(done).toEqual([2, 4, 5])
    expect(table.get('x')).toEqual(statsOf(Float32Array.from(samples.slice(0, 5).flatMap((s) => [...s]))))
    const abort = new AbortController()
    const run = collectStats(model(), engine, dataset(samples), histogram('x'), {
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
    })
    await expect(run).rejects.toThrow('enough')
  })

  it('leaves the model alone and releases the session', async () => {
    const m = model()
    let open = 0
    const counting: Engine = {
      ...engine,
      async load(...args) {
        const session = await engine.load(...args)
        open++
        const release = () => {
          open--
          return session.release()
        }
        return { ...session, run: session.run.bind(session), release }
      },
    }
    await collectStats(m, counting, dataset(samples), histogram('y'))
    expect(open).toBe(0)
    expect([...m.graph.nodes].map((n) => n.opType)).toEqual(['Mul', 'Relu', 'Add', 'Log'])
    expect(m.graph.outputs.map((o) => o.name)).toEqual(['z'])
  })
})

describe('statistics as JSON', () => {
  const table = new Map([
    ['a', statsOf(Float32Array.of(-1.5, 0, 1e-30, 7))],
    [
      'b',
      {
        count: 2,
        min: 0,
        max: 1,
        moments: { sum: 1, sumOfMagnitudes: 1, sumOfSquares: 1 },
        series: [{ count: 2, min: 0, max: 1, values: Float32Array.of(0, 0.1) }],
        margins: Float64Array.of(1, 0),
        channels: { axis: 1, min: Float64Array.of(0, 0), max: Float64Array.of(1, 0.1) },
      },
    ],
  ])

  it('come back as they were', () => {
    const back = statsFromJSON(JSON.parse(JSON.stringify(statsToJSON(table))))
    expect(back).toEqual(table)
    expect(statsDigest(back)).toBe(statsDigest(table))
    expect(statsDigest(table)).toBe(digest(JSON.stringify(statsToJSON(table))))
  })

  it('are refused when they are something else', () => {
    expect(() => statsFromJSON({ format: 'fewbit-plan' })).toThrow('CALIB_FORMAT')
    const broken = structuredClone(statsToJSON(table)) as unknown as { tensors: [string, { count: number }][] }
    broken.tensors[0]![1].count = -1
    expect(() => statsFromJSON(broken)).toThrow('CALIB_FORMAT')
  })
})

describe('mergeRequests', () => {
  it('asks once for everything', () => {
    const merged = mergeRequests([
      { value: 'a', wants: ['minmax'] },
      { value: 'b', wants: ['minmax'] },
      { value: 'a', wants: ['histogram'], channelAxis: 1 },
    ])
    expect(merged).toEqual([
      { value: 'a', wants: ['minmax', 'histogram'], channelAxis: 1 },
      { value: 'b', wants: ['minmax'] },
    ])
  })
})
