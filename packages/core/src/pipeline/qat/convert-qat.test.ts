import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { parseModel, readModel, serializeModel, type Tensor, valuesByName } from '../../ir/index.ts'
import { BATCH_NORM_STRATEGIES, type BatchNormName, readQFloat, withTrained } from '../../qat/index.ts'
import { TARGETS } from '../../targets/index.ts'
import { must, rng } from '../../util/index.ts'
import { recordedTarget } from '../execution.ts'
import { quantize } from '../quantize.ts'
import { convertQat } from './convert-qat.ts'
import { prepareQat } from './prepare-qat.ts'
import type { PrepareQatOptions } from './qat-options.ts'

const engine = nodeEngine({ threads: 1 })
const random = rng(7)
const list = (count: number, spread = 0.5, middle = 0) =>
  Array.from({ length: count }, () => (middle + spread * random.normal()).toFixed(5)).join()
const positive = (count: number) => Array.from({ length: count }, () => (0.5 + random.next()).toFixed(5)).join()

/** γ is negative in about one channel of five. */
const norm = (name: string, c: number) =>
  `float[${c}] g${name} = {${list(c, 0.6, 0.8)}}, float[${c}] o${name} = {${list(c)}}, float[${c}] m${name} = {${list(c)}}, float[${c}] v${name} = {${positive(c)}}`

/** A residual block, a depthwise layer, a transposed one and a fully connected one, each with BatchNormalization. */
const network = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,3,8,8] x) => (float[N,5] y)
  <float[8,3,3,3] wa = {${list(216)}}, ${norm('a', 8)}, float[8,8,3,3] wb = {${list(576, 0.2)}}, float[8] bb = {${list(8)}}, ${norm('b', 8)},
   float[8,1,3,3] wc = {${list(72)}}, ${norm('c', 8)}, float[8,4,2,2] wd = {${list(128)}}, ${norm('d', 4)},
   float[5,4] we = {${list(20)}}, float[5] be = {${list(5)}}, ${norm('e', 5)}> {
    [a] ya = Conv<pads = [1, 1, 1, 1]>(x, wa) [na] za = BatchNormalization(ya, ga, oa, ma, va) ra = Relu(za)
    [b] yb = Conv<pads = [1, 1, 1, 1]>(ra, wb, bb) [nb] zb = BatchNormalization(yb, gb, ob, mb, vb) sum = Add(zb, ra) rb = Relu(sum)
    [c] yc = Conv<group = 8>(rb, wc) [nc] zc = BatchNormalization(yc, gc, oc, mc, vc) rc = Relu(zc)
    [d] yd = ConvTranspose<strides = [2, 2]>(rc, wd) [nd] zd = BatchNormalization(yd, gd, od, md, vd)
    p = GlobalAveragePool(zd) f = Flatten(p) [e] ye = Gemm<transB = 1>(f, we, be) [ne] y = BatchNormalization(ye, ge, oe, me, ve)
  }`)
const data = memoryData(normalData({ x: [1, 3, 8, 8] }, 24))
const prepare = (options: Partial<PrepareQatOptions>) =>
  prepareQat(network, { engine, calibration: { data }, ...options })

const NAMES = Object.keys(BATCH_NORM_STRATEGIES) as BatchNormName[]

/** As if training had been there: weights, norms and scales of another place. */
function trained<Q extends Awaited<ReturnType<typeof prepare>>>(qfloat: Q) {
  const values = valuesByName(qfloat.model.graph)
  const step = rng(5)
  const names = [
    ...qfloat.record.parameters.map(({ name }) => name),
    ...qfloat.record.quantizers.flatMap(({ inputs }) =>
      inputs.filter((i) => i.name === 'scale').map((i) => i.initializer),
    ),
  ]
  const moved = names.map((name): [string, Tensor] => {
    const before = must(values.get(name)?.constant, name)
    const numbers = Float32Array.from(before.numbers(), (v) => v * (1 + 0.05 * step.normal()))
    return [name, tensorLike(before, numbers)]
  })
  return withTrained(qfloat, new Map(moved))
}

const tensorLike = (t: Tensor, values: Float32Array): Tensor => (t.constructor as typeof Tensor).float32(t.dims, values)

describe('convertQat', () => {
  it.each(NAMES)('deploys what was trained, to the last code, where biases stay in float (%s)', async (batchNorm) => {
    for (const target of ['tensorrt', 'academic']) {
      const qfloat = trained(
        await prepare({
          target,
          batchNorm,
          edgeBits: target === 'academic' ? 4 : 8,
          scheme: target === 'academic' ? 'w4a4' : 'w8a8',
        }),
      )
      const { conversion } = await convertQat(qfloat, { engine, data, tensors: true })
      const all = [...must(conversion, 'conversion').outputs, ...must(conversion?.tensors, 'tensors')]
      expect(all.length).toBeGreaterThan(5)
      for (const { value, within, worst } of all)
        expect({ value, within, worst: Math.round(worst) }, target).toEqual({ value, within: 1, worst: 0 })
    }
  })

  it.each(NAMES)('is equal on integer kernels, and within a step where it is simulated (%s)', async (batchNorm) => {
    for (const target of ['onnxruntime', 'megengine']) {
      const isEngine = target === 'onnxruntime'
      const smallLayers = isEngine ? 'integer' : 'float'
      const qfloat = trained(await prepare({ target, batchNorm, tails: 'quantize', smallLayers }))
      const { conversion } = await convertQat(qfloat, { engine, data, tensors: true })
      const { outputs, tensors, simulated } = must(conversion, 'conversion')
      expect(simulated, target).toBeUndefined()
      // One scale for all channels: the folded weight is rounded anew.
      if (batchNorm === 'none' && !isEngine) continue
      for (const { value, within, equal } of [...outputs, ...must(tensors, 'tensors')]) {
        expect(isEngine ? equal : within, `${target} ${value}`).toBeGreaterThanOrEqual(isEngine ? 1 : 0.999)
      }
    }
  })

  it('begins where quantizing ends', async () => {
    const options = { target: 'tensorrt', calibration: { data, observer: 'mse' } } as const
    const qfloat = await prepare({ ...options, fakeQuantizer: 'fixed' })
    const { model, plan, params } = await convertQat(qfloat, { engine })
    const { plan: quantized, params: found } = await quantize(network, { engine, ...options, smallLayers: 'float' })
    expect(plan.tensors.map(({ value, group, readers }) => ({ value, group, readers }))).toEqual(
      quantized.tensors.map(({ value, group, readers }) => ({ value, group, readers })),
    )
    expect(must(params.get('x'), 'x').scale[0]).toBeCloseTo(must(found.get('x'), 'x').scale[0] as number, 2)
    expect(model.metadata.has('fewbit.qfloat')).toBe(false)
  })

  it.each([[{ fakeQuantizer: 'lsq' }], [{ preset: 'lsq' }]] as const)(
    'begins with a range on both sides of zero where there is a zero point, whatever the tails: %o',
    async (how) => {
      const samples = normalData({ x: [1, 3, 8, 8] }, 24)
      const tail = must(samples[0]?.x, 'x')
      const values = Float32Array.from(tail.numbers(), (v, i) => (i === 7 ? -20 : Number(v)))
      const heavy = memoryData([{ x: tensorLike(tail, values) }, ...samples.slice(1)])
      for (const name of ['fbgemm', 'snpe'] as const) {
        const { record, model } = await prepare({
          ...{ target: name, scheme: 'w4a4', edgeBits: 4, calibration: { data: heavy }, ...how },
        })
        const input = record.quantizers.find(({ group }) => group === 'x')?.inputs.find((i) => i.name === 'zero_point')
        const zero = valuesByName(model.graph).get(must(input, 'zero point').initializer)?.constant?.numbers()[0]
        // Noise about 0: the middle of 0 … 15. LSQ's own scale with −20 at code 0 would have 0 at 15, and nothing above.
        expect(Number(zero), name).toBeGreaterThan(5)
        expect(Number(zero), name).toBeLessThan(12)
      }
    },
  )

  it('takes a backend by its rules at bits that it has no kernels for, says so, and runs the result by them', async () => {
    const prepared = await prepare({ target: 'tensorrt', scheme: 'w4a4' })
    expect(prepared.diagnostics.find(({ code }) => code === 'QAT_BITS')?.level).toBe('warning')
    const { model, plan, conversion } = await convertQat(readQFloat(prepared.model), { engine, data, samples: 24 })
    expect(plan.target).toBe('tensorrt-at-w4a4')
    const bits = plan.tensors.filter(({ role }) => role !== 'bias').map(({ spec }) => [spec.bits, spec.symmetric])
    expect(bits).toContainEqual([4, true])
    expect(bits.every(([, symmetric]) => symmetric)).toBe(true)
    expect(conversion?.outputs[0]?.within).toBe(1)
    const named = await convertQat(prepared, { engine, target: 'tensorrt' })
    expect(serializeModel(named.model)).toEqual(serializeModel(model))
    // A saved file is loaded by the same rules later.
    const again = readModel(serializeModel(model))
    expect(recordedTarget(again, TARGETS)?.title).toBe('TensorRT at w4a4')
    await expect(prepare({ target: 'tensorrt', scheme: 'w4a4', strict: true })).rejects.toThrow(/SCHEME_UNSUPPORTED/)
  })

  it('says which network the quantized one was made of, and that a recipe cannot repeat it', async () => {
    const { model, float } = await convertQat(await prepare({ target: 'tensorrt' }), { engine })
    const recipe = JSON.parse(must(model.metadata.get('fewbit.recipe'), 'recipe'))
    expect(recipe.qat).toMatchObject({
      batchNorm: 'fold-torch',
      fakeQuantizer: { name: 'lsq' },
      networkDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    await expect(quantize(float, { engine, calibration: { data }, recipe })).rejects.toThrow(/RECIPE_TRAINED/)
  })

  it('plans anew for another target, on the ranges that were trained', async () => {
    const qfloat = await prepare({ target: 'tensorrt' })
    const { plan, params, model } = await convertQat(qfloat, { engine, target: 'academic' })
    expect(plan.target).toBe('academic')
    const own = await convertQat(qfloat, { engine })
    expect(params.get('ra')?.scale[0]).toBeCloseTo((own.params.get('ra')?.scale[0] as number) / 2, 2)
    expect([...model.graph.nodes].some((node) => node.opType === 'DequantizeLinear')).toBe(true)
  })
})

describe('a bound of values', () => {
  /** A layer that ends at 6, as mobile networks have them. */
  const bounded = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,3,8,8] x) => (float[N,16,8,8] y)
    <float[16,3,3,3] w = {${list(432, 2)}}, float[16,16,1,1] v = {${list(256)}}> {
      c = Conv<pads = [1, 1, 1, 1]>(x, w) lo = Constant<value_float = 0.0>() hi = Constant<value_float = 6.0>() r = Clip(c, lo, hi) y = Conv(r, v) }`)

  it('is kept by a scale that training has moved by rounding, so that the engine loads it', async () => {
    const qfloat = await prepareQat(bounded, {
      engine,
      target: 'onnxruntime',
      preset: 'min-max',
      smallLayers: 'integer',
      calibration: { data },
    })
    const name = must(
      qfloat.record.quantizers.find((q) => q.group === 'r'),
      'r',
    ).inputs[0]?.initializer as string
    const before = must(valuesByName(qfloat.model.graph).get(name)?.constant, name)
    expect(before.numbers()[0]).toBeCloseTo(6 / 255, 6)
    const scale = (steps: number) =>
      new Map([[name, tensorLike(before, Float32Array.of((6 / 255) * (1 + steps * 2 ** -23)))]])
    for (const moved of [1, 3]) {
      const { params, conversion } = await convertQat(withTrained(qfloat, scale(moved)), { engine, data })
      expect(Math.fround(255 * must(params.get('r')?.scale[0], 'scale'))).toBeLessThanOrEqual(6)
      expect(conversion?.outputs[0]?.within).toBe(1)
    }
    const far = await convertQat(withTrained(qfloat, scale(2 ** 20)), { engine, data })
    expect(far.params.get('r')?.scale[0]).toBeCloseTo((6 / 255) * 1.125, 5)
    expect(far.conversion?.outputs[0]?.within).toBe(1)
  })
})

describe('a network with fake-quantizers', () => {
  it('is a file that holds all that converting needs', async () => {
    const qfloat = await prepare({ target: 'tensorrt' })
    const again = readQFloat(readModel(serializeModel(qfloat.model)))
    expect(again.record).toEqual(qfloat.record)
    const [first, second] = [await convertQat(qfloat, { engine }), await convertQat(again, { engine })]
    expect(serializeModel(second.model)).toEqual(serializeModel(first.model))
  })

  it.each([
    [
      'QAT_PREPARED',
      async () => prepareQat((await prepare({ target: 'tensorrt' })).model, { engine, calibration: { data } }),
    ],
    ['QAT_OPTION', () => prepare({ algorithms: ['cle'] } as object)],
    ['QAT_NOTHING', () => prepare({ scheme: 'float' })],
    ['QAT_BATCH_NORM', () => prepare({ batchNorm: 'fold' as BatchNormName })],
    ['QAT_OBSTACLE', () => prepare({ target: 'vitis-ai', fakeQuantizer: 'lsq:scale=real' })],
    ['FAKE_QUANTIZER_UNKNOWN', () => prepare({ fakeQuantizer: 'lsqq' })],
    ['QFLOAT_MISSING', async () => readQFloat(network)],
  ])('%s', async (code, run) => {
    await expect(run()).rejects.toThrow(new RegExp(code))
  })

  it('refuses a record that does not fit its graph', async () => {
    const { model } = await prepare({ target: 'tensorrt' })
    const record = JSON.parse(must(model.metadata.get('fewbit.qfloat'), 'record'))
    model.metadata.set('fewbit.qfloat', JSON.stringify({ ...record, version: 2 }))
    expect(() => readQFloat(model)).toThrow(/QFLOAT_VERSION/)
    record.quantizers[0].sites[0].node = 'elsewhere'
    model.metadata.set('fewbit.qfloat', JSON.stringify(record))
    expect(() => readQFloat(model)).toThrow(/QFLOAT_FORMAT[\s\S]*there is no node "elsewhere"/)
  })
})
