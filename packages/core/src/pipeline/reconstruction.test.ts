import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { UnitDetails } from '../algorithms/reconstruction/index.ts'
import { valuesByName } from '../ir/index.ts'
import { structuralHash } from '../passes/index.ts'
import { dequantize } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { type QuantizeOptions, type QuantizeResult, quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })
/** Far in few steps. */
const QUICK = { iterations: 60, learningRate: 0.05, scaleRate: 0.01, batch: 8 }

const reconstructed = (
  name: string,
  options: Record<string, number | string> = {},
  over: Partial<QuantizeOptions> = {},
): Promise<QuantizeResult> =>
  quantize(fixture('residual'), {
    engine,
    ...{ target: 'academic', scheme: 'w3a3', edgeBits: 3 },
    calibration: { data: memoryData(normalData({ x: [1, 4, 8, 8] }, 16)), observer: 'minmax' },
    algorithms: [{ name, options: { ...QUICK, ...options } }],
    ...over,
  })

const unitsOf = ({ report }: QuantizeResult) => report.algorithms[0]?.details?.units as readonly UnitDetails[]
/** Of weights and scales; the quantized network says by which algorithm it was made. */
const found = ({ float, params }: QuantizeResult) => JSON.stringify([structuralHash(float), [...params]])

describe.each(['brecq', 'qdrop', 'adaquant'])('%s', (name) => {
  it('makes no unit worse than it was, and the outputs better', async () => {
    const result = await reconstructed(name)
    const units = unitsOf(result)
    expect(units).toHaveLength(3)
    for (const { before, after, undone } of units) expect(undone || after <= before).toBe(true)
    expect(units.some(({ before, after }) => after < 0.8 * before)).toBe(true)
    const [record] = result.report.algorithms
    expect(record?.undone).toBeUndefined()
    expect(record?.sqnr?.after).toBeGreaterThan((record?.sqnr?.before ?? 0) + 1)
  })

  it('leaves weights on their grids, and learns scales of activations', async () => {
    const { model, float, params, plan } = await reconstructed(name)
    const [written, weights] = [valuesByName(model.graph), valuesByName(float.graph)]
    const plain = await reconstructed(name, {}, { algorithms: [] })
    const tensors = plan.tensors.filter((t) => t.role === 'weight')
    const trained = valuesByName(plain.float.graph)
    const constant = (values: typeof trained, value: string) => must(values.get(value)?.constant, value)
    const numbers = (values: typeof trained, value: string) => constant(values, value).numbers().join()
    const changed = tensors.filter(({ value }) => numbers(weights, value) !== numbers(trained, value))
    expect(changed.length).toBeGreaterThan(1)
    for (const { value, group } of changed) {
      const codes = constant(written, `${value}_quantized`)
      const weight = constant(weights, value)
      expect(dequantize(codes.numbers(), must(params.get(group), 'parameters'), codes.dims)).toEqual(weight.numbers())
    }
    const learned = plan.tensors.filter((t) => t.role === 'activation').map(({ group }) => group)
    const scaleOf = (from: QuantizeResult['params'], group: string) => must(from.get(group), group).scale[0]
    const moved = learned.filter((group) => scaleOf(params, group) !== scaleOf(plain.params, group))
    expect(moved.length).toBeGreaterThan(learned.length / 2)
  })

  it('does the same for the same seed, and something else for another', async () => {
    const [first, again, other] = [
      await reconstructed(name, { iterations: 20 }),
      await reconstructed(name, { iterations: 20 }),
      await reconstructed(name, { iterations: 20 }, { seed: 2 }),
    ]
    expect(found(again)).toBe(found(first))
    expect(found(other)).not.toBe(found(first))
  })
})

describe('qdrop', () => {
  it('is brecq where nothing is dropped', async () => {
    expect(found(await reconstructed('qdrop', { prob: 1 }))).toBe(found(await reconstructed('brecq')))
    expect(found(await reconstructed('qdrop'))).not.toBe(found(await reconstructed('brecq')))
  })
})

describe('reconstruction', () => {
  it.each(['layer', 'net'])('of each %s', async (granularity) => {
    const units = unitsOf(await reconstructed('brecq', { granularity }))
    expect(units.map(({ layers }) => layers)).toEqual(granularity === 'net' ? [3] : [1, 1, 1])
    expect(units.every(({ before, after }) => after <= before)).toBe(true)
  })

  it('weighs differences by the Fisher diagonal', async () => {
    const [plain, weighed] = [await reconstructed('brecq'), await reconstructed('brecq', { fisher: 'diagonal' })]
    expect(found(weighed)).not.toBe(found(plain))
    expect(weighed.report.algorithms[0]?.undone).toBeUndefined()
  })

  it('keeps codes within what a Clip lets through, which kernels need to load', async () => {
    const { plan, params } = await quantize(fixture('squeeze-excite'), {
      ...{ engine, target: 'onnxruntime', scheme: 'w8a8', smallLayers: 'integer' },
      calibration: { data: memoryData(normalData({ x: [1, 4, 8, 8] }, 8)), observer: 'minmax' },
      algorithms: [{ name: 'brecq', options: { iterations: 20, scaleRate: 0.05 } }],
    })
    const bounded = plan.tensors.filter(({ within }) => within?.hi !== undefined && Number.isFinite(within.hi))
    expect(bounded.length).toBeGreaterThan(0)
    for (const { group, within, spec } of bounded) {
      const { scale, zeroPoint } = must(params.get(group), group)
      const top = Math.fround((spec.quantMax - (zeroPoint[0] as number)) * (scale[0] as number))
      expect(top).toBeLessThanOrEqual(within?.hi as number)
    }
  })

  it('reports its steps, and stops when it is told to', async () => {
    const steps: number[] = []
    const stop = new AbortController()
    const onProgress: NonNullable<QuantizeOptions['onProgress']> = ({ stage, done }) => {
      if (stage !== 'brecq' || done === undefined) return
      steps.push(done)
      if (done >= 100) stop.abort()
    }
    const work = reconstructed('brecq', { iterations: 400 }, { onProgress, signal: stop.signal })
    await expect(work).rejects.toThrow(/abort/i)
    expect(steps).toContain(100)
    expect(Math.max(...steps)).toBe(100)
  })
})
