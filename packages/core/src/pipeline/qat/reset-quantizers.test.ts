import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData, outputError, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { parseModel, readModel, serializeModel, Tensor, valuesByName } from '../../ir/index.ts'
import { liftToFloat, type QFloat, qatTrainable, readQFloat, switchQuantizers } from '../../qat/index.ts'
import { paramsFromRange } from '../../quant/index.ts'
import { must, rng } from '../../util/index.ts'
import { convertQat } from './convert-qat.ts'
import { prepareQat } from './prepare-qat.ts'
import { resetQuantizers } from './reset-quantizers.ts'

const engine = nodeEngine({ threads: 1 })
const random = rng(2)
const list = (count: number) => Array.from({ length: count }, () => (0.5 * random.normal()).toFixed(5)).join()
const network = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,2,6,6] x) => (float[N,4,6,6] y)
  <float[4,2,3,3] wa = {${list(72)}}, float[4] g = {1, 2, 0.5, 1}, float[4] o = {${list(4)}}, float[4] m = {${list(4)}}, float[4] v = {1, 2, 1, 0.5},
   float[4,4,1,1] wb = {${list(16)}}, float[4] bb = {${list(4)}}> {
  [first] a = Conv<pads = [1, 1, 1, 1]>(x, wa) [norm] n = BatchNormalization(a, g, o, m, v) r = Relu(n)
  [second] b = Conv(r, wb, bb) y = Add(b, r) }`)
const samples = normalData({ x: [1, 2, 6, 6] }, 8)
const calibration = { data: memoryData(samples) }
const feeds = must(samples[3], 'sample')
const prepare = (options: object = {}) =>
  prepareQat(network, { engine, target: 'onnxruntime', calibration, smallLayers: 'integer', ...options })
const run = ({ model }: QFloat) => runModel(engine, model, feeds)
const numbers = ({ model }: QFloat, name: string) => [
  ...must(valuesByName(model.graph).get(name)?.constant, name).numbers(),
]

describe('switchQuantizers', () => {
  it('gives the float network back where all are off, and the same file where all are on again', async () => {
    const qfloat = await prepare()
    const off = switchQuantizers(qfloat, {}, { enabled: false })
    expect([...off.model.graph.nodes].filter((node) => node.domain === 'fewbit.qat')).toEqual([])
    expect(outputError(await runModel(engine, network, feeds), await run(off))).toBeLessThan(1e-6)
    const saved = readQFloat(readModel(serializeModel(off.model)))
    const on = switchQuantizers(saved, {}, { enabled: true })
    expect(Buffer.compare(serializeModel(on.model), serializeModel(qfloat.model))).toBe(0)
    await expect(convertQat(off, { engine })).rejects.toThrow(/QAT_DISABLED/)
  })

  it('finds them by value, by reading node, and by role', async () => {
    const qfloat = await prepare()
    const off = (match: object) =>
      switchQuantizers(qfloat, match, { enabled: false })
        .record.quantizers.filter((q) => !q.enabled)
        .map((q) => q.group)
    expect(off({ name: 'wb' })).toEqual(['wb'])
    expect(off({ name: 'second' })).toEqual(['r', 'wb'])
    expect(off({ name: 'sec*', role: 'weight' })).toEqual(['wb'])
    expect(off({ name: /^w/ })).toEqual(['wa', 'wb'])
    expect(() => off({ name: 'third' })).toThrow(/QAT_MATCH/)
  })

  it('keeps frozen parameters out of training', async () => {
    const qfloat = await prepare({ fakeQuantizer: 'lsq' })
    const names = (network: QFloat) =>
      qatTrainable(network).parameters.flatMap((p) => (p.kind === 'quantizer' ? [p.name] : []))
    expect(names(qfloat)).toContain('x_scale')
    expect(names(switchQuantizers(qfloat, { name: 'x' }, { frozen: true }))).not.toContain('x_scale')
  })

  it('refuses observers beside trained ranges', async () => {
    const qfloat = await prepare({ fakeQuantizer: 'lsq' })
    expect(() => switchQuantizers(qfloat, {}, { observer: { kind: 'minmax' } })).toThrow(/QAT_OBSERVER/)
  })
})

describe('observers while training', () => {
  /** One step's forward pass, with the next contents of what it updates. */
  async function step(qfloat: QFloat, batch: Tensor) {
    const { model, updates } = qatTrainable(qfloat)
    const values = valuesByName(model.graph)
    model.graph.outputs.push(...new Set([...updates.values()].map((name) => must(values.get(name), name))))
    const found = await runModel(engine, model, { x: batch })
    return (name: string) => [...must(found[updates.get(name) ?? ''], name).numbers()] as number[]
  }
  const batch = Tensor.float32(
    [2, 2, 6, 6],
    Float32Array.from({ length: 144 }, (_, i) => Math.sin(i) * (i === 7 ? 9 : 1)),
  )

  it.each([
    ['ema', 0.9],
    ['min-max', undefined],
  ] as const)('%s ranges become scales as papers say', async (preset, momentum) => {
    const qfloat = await prepare({ preset })
    const at = await step(qfloat, batch)
    const record = must(
      qfloat.record.quantizers.find((q) => q.group === 'x'),
      'x',
    )
    const [scale, zero] = [numbers(qfloat, 'x_scale')[0] as number, numbers(qfloat, 'x_zero_point')[0] as number]
    const old = { lo: (record.spec.quantMin - zero) * scale, hi: (record.spec.quantMax - zero) * scale }
    const [least, greatest] = [Math.min(...batch.numbers()), Math.max(...batch.numbers())]
    const range =
      momentum === undefined
        ? { lo: Math.min(old.lo, least), hi: Math.max(old.hi, greatest) }
        : { lo: momentum * old.lo + 0.1 * least, hi: momentum * old.hi + 0.1 * greatest }
    const expected = paramsFromRange(range, record.spec)
    expect(at('x_scale')[0]).toBeCloseTo(expected.scale, 6)
    expect(at('x_zero_point')).toEqual([expected.zeroPoint])
  })

  it('weights follow their least and greatest element, one for each channel', async () => {
    const qfloat = await prepare({ preset: 'ema', batchNorm: 'freeze' })
    const wb = must(valuesByName(network.graph).get('wb')?.constant, 'wb').numbers()
    const expected = [0, 1, 2, 3].map(
      (c) => Math.max(...[0, 1, 2, 3].map((i) => Math.abs(wb[c * 4 + i] as number))) / 127,
    )
    const at = await step(qfloat, batch)
    const found = at('wb_scale')
    for (const [c, scale] of expected.entries()) expect(found[c]).toBeCloseTo(scale, 6)
  })

  it('leaves ranges as they are unless asked', async () => {
    const { updates } = qatTrainable(await prepare({ fakeQuantizer: 'fixed', batchNorm: 'merge' }))
    expect([...updates.keys()]).toEqual([])
  })
})

describe('resetQuantizers', () => {
  it('goes on with the scales that were reached', async () => {
    const qfloat = await prepare({ preset: 'min-max' })
    const reset = resetQuantizers(qfloat, { preset: 'lsq' })
    expect(new Set(reset.record.quantizers.map(({ quantizer }) => quantizer.name))).toEqual(new Set(['lsq']))
    expect(outputError(await run(qfloat), await run(reset))).toBeLessThan(1e-6)
    const [before, after] = [await convertQat(qfloat, { engine }), await convertQat(reset, { engine })]
    for (const [group, { scale }] of before.params) expect(after.params.get(group)?.scale, group).toEqual(scale)
  })

  it('changes some, and leaves others', async () => {
    const qfloat = await prepare({ preset: 'min-max' })
    const reset = resetQuantizers(qfloat, { fakeQuantizer: 'lsq', match: { role: 'weight' } })
    const names = reset.record.quantizers.map(({ role, quantizer }) => `${role} ${quantizer.name}`)
    expect(new Set(names)).toEqual(new Set(['activation fixed', 'weight lsq']))
  })
})

describe('liftToFloat', () => {
  it('is the float network, folded or with BatchNormalization', async () => {
    const qfloat = await prepare()
    const expected = await runModel(engine, network, feeds)
    for (const batchNorm of ['folded', 'separate'] as const) {
      const float = liftToFloat(qfloat, { batchNorm })
      const types = [...float.graph.nodes].map((node) => node.opType)
      expect(types.includes('BatchNormalization')).toBe(batchNorm === 'separate')
      expect(float.metadata.has('fewbit.qfloat')).toBe(false)
      expect(outputError(expected, await runModel(engine, float, feeds))).toBeLessThan(1e-6)
    }
    expect(
      (
        await prepareQat(liftToFloat(qfloat, { batchNorm: 'separate' }), {
          engine,
          calibration,
          smallLayers: 'integer',
        })
      ).record.norms,
    ).toHaveLength(1)
  })
})
