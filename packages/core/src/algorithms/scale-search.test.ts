import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, newModel, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../engine/index.ts'
import { type Model, Tensor, tensorType } from '../ir/index.ts'
import { quantize } from '../pipeline/index.ts'
import { must, rng } from '../util/index.ts'
import type { AlgorithmRequest } from './request.ts'

const engine = nodeEngine({ threads: 1 })
const [TERMS, CHANNELS] = [12, 4]

/** A convolution of one position; `rows` are the weights of each of its channels. */
function product(shape: (row: number[], channel: number) => number[] = (row) => row) {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', ['N', TERMS, 1, 1]))
  const random = rng(5)
  const rows = Array.from({ length: CHANNELS }, (_, c) =>
    shape(
      Array.from({ length: TERMS }, () => Math.fround(random.normal())),
      c,
    ),
  )
  const weight = b.constant('w', Tensor.float32([CHANNELS, TERMS, 1, 1], Float32Array.from(rows.flat())))
  b.output(b.op('Conv', [x, weight], {}, { name: 'layer', output: 'y' }))
  return { model, rows }
}

/** Normal inputs; the first one is always zero where it is `silent`. */
const inputs = (silent = false): Feeds[] =>
  normalData({ x: [1, TERMS, 1, 1] }, 32).map(({ x }) => {
    const values = Float32Array.from(must(x, 'x').numbers())
    if (silent) values[0] = 0
    return { x: Tensor.float32([1, TERMS, 1, 1], values) }
  })

async function searched(model: Model, bits: number, options: AlgorithmRequest['options'], feeds = inputs()) {
  const result = await quantize(model, {
    ...({ engine, target: 'onnxruntime', scheme: `w${bits}a8`, smallLayers: 'integer' } as const),
    algorithms: [{ name: 'scale-search', ...(options ? { options } : {}) }],
    calibration: { data: memoryData(feeds), samples: 32, observer: 'minmax' },
  })
  const weight = must(
    result.plan.tensors.find(({ role }) => role === 'weight'),
    'weight',
  )
  expect(weight.spec.bits).toBe(bits)
  return { record: must(result.report.algorithms[0], 'record'), params: must(result.params.get(weight.group), 'w') }
}

/** Σ |w − ŵ|^p of weights on a grid of codes from −4 to 3. */
const errorAt = (weights: readonly number[], scale: number, p: number) =>
  weights.reduce((sum, w) => sum + Math.abs(w - scale * Math.min(Math.max(Math.round(w / scale), -4), 3)) ** p, 0)

describe('scale-search on weights alone', () => {
  it.each([2, 3, 4])('finds for each channel the best of a fine grid, p = %s', async (p) => {
    const { model, rows } = product()
    const { params } = await searched(model, 3, { objective: 'weights', p })
    expect(params.scale).toHaveLength(CHANNELS)
    for (const [c, row] of rows.entries()) {
      const widest = Math.max(...row.map(Math.abs)) / 3.5
      const grid = Array.from({ length: 1000 }, (_, i) => (widest * (i + 1)) / 1000)
      const least = Math.min(...grid.map((s) => errorAt(row, s, p)))
      const found = errorAt(row, must(params.scale[c], 'scale'), p)
      expect(found).toBeLessThanOrEqual(errorAt(row, Math.fround(widest), p) * (1 + 1e-9))
      // The search's own steps are ten times as wide.
      expect(found).toBeLessThan(1.1 * least)
    }
  })

  it('leaves scales alone that are best already', async () => {
    // 3.5 · scale is the largest magnitude; all other weights are codes of that scale.
    const { model } = product((row, c) => row.map((_, k) => (k === 0 ? 3.5 : ((k * 5 + c) % 7) - 3)))
    const { params, record } = await searched(model, 3, { objective: 'weights' })
    expect(params.scale).toEqual([1, 1, 1, 1])
    expect(record).toMatchObject({ name: 'scale-search', changed: 0 })
  })

  it('says what it changed', async () => {
    const { record } = await searched(product().model, 3, { objective: 'weights' })
    expect(record.changed).toBe(1)
    const { layers } = record.details as { layers: { weight: string; before: number; after: number }[] }
    expect(layers).toMatchObject([{ weight: 'w' }])
    for (const { before, after } of layers) expect(after).toBeLessThan(before)
  })
})

describe('scale-search on outputs', () => {
  it('clips weights that no input meets, which the weights alone do not tell', async () => {
    const { model, rows } = product(([, ...row]) => [14, ...row])
    const output = await searched(model, 4, {}, inputs(true))
    const weights = await searched(model, 4, { objective: 'weights' }, inputs(true))
    for (const [c, [, ...row]] of rows.entries()) {
      // Without the first weight the range ends with the largest of the others; few weights may fit a coarser grid by chance.
      expect(output.params.scale[c]).toBeLessThan(2 * (Math.max(...row.map(Math.abs)) / 7.5))
      expect(weights.params.scale[c]).toBeGreaterThan(0.5 * (14 / 7.5))
    }
    const gain = ({ record: { sqnr } }: typeof output) => (sqnr?.after ?? 0) - (sqnr?.before ?? 0)
    // Steps become some seven times as small: 17 dB.
    expect(gain(output)).toBeGreaterThan(12)
    expect(gain(weights)).toBeLessThan(6)
  })

  it('never leaves a layer with a larger error than it had', async () => {
    for (const bits of [3, 5, 8]) {
      const { record } = await searched(product().model, bits, { bias: false })
      const { layers } = record.details as { layers: { before: number; after: number }[] }
      expect(layers).toHaveLength(1)
      for (const { before, after } of layers) expect(after).toBeLessThanOrEqual(before)
    }
  })
})
