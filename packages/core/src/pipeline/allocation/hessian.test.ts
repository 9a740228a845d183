import { highsSolver, nodeEngine } from '@fewbit/engine-node'
import { memoryData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Dataset } from '../../engine/index.ts'
import { type Model, parseModel, Tensor } from '../../ir/index.ts'
import { fakeQuantize, paramsFromData, parseScheme, perChannel, quantSpec, schemeRules } from '../../quant/index.ts'
import { coreml } from '../../targets/coreml.ts'
import { must, rng } from '../../util/index.ts'
import { type AllocateOptions, allocate } from './allocate.ts'
import { noiseOf } from './output-errors.ts'

const engine = nodeEngine({ threads: 1 })

const allocated = async (model: Model, data: Dataset, options: Partial<AllocateOptions> = {}) => {
  const budgets = [{ measure: 'size', limit: 0.75, of: 'w8' }] as const
  const given = { engine, solver: highsSolver(), points: 0, bits: [4, 8], budgets, sensitivity: 'hessian' } as const
  const all = { ...given, target: 'coreml', scheme: 'w8', calibration: { data, observer: 'minmax' }, ...options }
  return (await allocate(model, all)).allocation
}

const noises = async (model: Model, data: Dataset, options: Partial<AllocateOptions> = {}) => {
  const budgets = [{ measure: 'size', limit: 1, of: 'w8' }] as const
  const { sensitivity } = await allocated(model, data, { budgets, ...options })
  return Object.fromEntries(sensitivity.map(({ node, choices }) => [node, noiseOf(must(choices?.w4, node).sqnr)]))
}

type Row = readonly number[]
const times = (x: Row, w: Float32Array, width: number): number[] =>
  Array.from({ length: width }, (_, j) => x.reduce((sum, v, i) => sum + v * must(w[i * width + j], 'weight'), 0))
const power = (row: ArrayLike<number>): number => Array.from(row).reduce((sum, v) => sum + v * v, 0)
const mean = (list: Row): number => list.reduce((a, b) => a + b, 0) / list.length

/** ‖Q(W) − W‖² ÷ elements, with 4 bits and a scale for each column. */
function roundingError(w: Float32Array, width: number): number {
  const { weights } = schemeRules(parseScheme('w4'), coreml)
  const dims = [w.length / width, width]
  const rounded = fakeQuantize(w, paramsFromData(w, dims, quantSpec(must(weights, 'rule'), perChannel(1))), dims)
  return mean(Array.from(w, (v, i) => (v - must(rounded[i], 'element')) ** 2))
}

const feeds = (rows: readonly Row[]): Dataset =>
  memoryData(rows.map((row) => ({ x: Tensor.float32([1, row.length], Float32Array.from(row)) })))

describe('the sensitivity hessian', () => {
  const random = rng(5)
  const numbers = (count: number, shift = 0) => Float32Array.from({ length: count }, () => shift + random.normal())
  const text = (w: Float32Array) => `{${[...w].join()}}`

  it('of one linear layer is outputs · E‖x‖² / n · ‖ΔW‖²: exactly, where the elements of x are uncorrelated', async () => {
    const w = numbers(8 * 4)
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,8] x) => (float32[N,4] y)
      <float32[8,4] w = ${text(w)}> { [one] y = MatMul(x, w) }`)
    const rows = Array.from({ length: 8 }, (_, i) => Array.from({ length: 8 }, (_, j) => (i === j ? i + 1 : 0)))
    const trace = 4 * mean(rows.map(power))
    const expected = (trace * roundingError(w, 4)) / mean(rows.map((x) => power(times(x, w, 4))))
    const { one } = await noises(model, feeds(rows))
    // A step of 1e-3 leaves four of float32's seven digits.
    expect(must(one, 'one') / expected).toBeCloseTo(1, 2)
  })

  it('of layers around a Relu has the trace of JᵀJ', async () => {
    const [w1, w2] = [numbers(16 * 32), numbers(32 * 32)]
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,16] x) => (float32[N,32] y)
      <float32[16,32] w1 = ${text(w1)}, float32[32,32] w2 = ${text(w2)}> {
      [one] h = MatMul(x, w1) r = Relu(h) [two] y = MatMul(r, w2) }`)
    // With a mean, so that inputs correlate: steps of equal signs would give several times the trace.
    const rows = Array.from({ length: 48 }, () => [...numbers(16, 1)])
    const hidden = rows.map((x) => times(x, w1, 32))
    const passed = hidden.map((h) => h.map((v) => Math.max(0, v)))
    const behind = Array.from({ length: 32 }, (_, j) => power(w2.subarray(j * 32, (j + 1) * 32)))
    const open = hidden.map((h) => h.reduce((sum, v, j) => sum + (v > 0 ? must(behind[j], 'row') : 0), 0))
    const traces = {
      one: mean(rows.map((x, i) => power(x) * must(open[i], 'sample'))),
      two: 32 * mean(passed.map(power)),
    }
    const signal = mean(passed.map((r) => power(times(r, w2, 32))))
    const expected = {
      one: (traces.one * roundingError(w1, 32)) / signal,
      two: (traces.two * roundingError(w2, 32)) / signal,
    }
    const found = await noises(model, feeds(rows))
    // Of uncorrelated columns, 4 draws leave √(2/(4·32)) = 12 % at most for one layer; that is three times it.
    for (const node of ['one', 'two'] as const)
      expect(Math.abs(must(found[node], node) / expected[node] - 1)).toBeLessThan(0.38)
    const same = await noises(model, feeds(rows))
    expect(same).toEqual(found)
    expect(await noises(model, feeds(rows), { seed: 9 })).not.toEqual(found)
  })

  it('gives the bits to the layer that outputs depend on, not to one with equal weights behind a Softmax', async () => {
    const w = numbers(16 * 8)
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,16] x) => (float32[N,8] y)
      <float32[16,8] wa = ${text(w)}, float32[16,8] wb = ${text(w.toReversed())}> {
      [weak] a = MatMul(x, wa) t = Tanh(a) s = Softmax(t) [strong] b = MatMul(x, wb) y = Add(b, s) }`)
    const data = feeds(Array.from({ length: 12 }, () => [...numbers(16)]))
    const { by, sensitivity, nodes, predicted } = await allocated(model, data)
    expect(by).toBe('hessian')
    expect(sensitivity.map(({ node }) => node)).toEqual(['strong', 'weak'])
    expect(nodes).toEqual({ strong: 'w8', weak: 'w4' })
    expect(predicted?.sqnr).toBeGreaterThan(0)
  })

  it('refuses layers without weights', async () => {
    const w = text(numbers(64))
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[1,8] x) => (float32[8,8] y)
      <float32[8,8] w1 = ${w}, float32[8,8] w2 = ${w}> {
      [one] h = MatMul(x, w1) t = Transpose<perm = [1, 0]>(h) [two] p = MatMul(t, h) [three] y = MatMul(p, w2) }`)
    const data = feeds(Array.from({ length: 4 }, () => [...numbers(8)]))
    const options = {
      target: 'onnxruntime',
      scheme: 'w8a8',
      bits: [8, 'float'],
      budgets: [],
      smallLayers: 'integer',
    } as const
    await expect(allocated(model, data, options)).rejects.toThrow(/ALLOCATE_SENSITIVITY.*"two" has no weights/)
  })
})
