import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { FAKE_QUANTIZERS, type FakeQuantizerName, qatOps } from '../../fake-quantizers/index.ts'
import { parseModel, Tensor } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { qatTrainable, withTrained } from '../../qat/index.ts'
import { mse, sgd, TrainingRun, trainingStep } from '../../training/index.ts'
import { type FewbitError, must, rng } from '../../util/index.ts'
import { convertQat } from './convert-qat.ts'
import { prepareQat } from './prepare-qat.ts'

const engine = nodeEngine({ threads: 1 })
const random = rng(21)
const list = (count: number, spread = 0.4) =>
  Array.from({ length: count }, () => (spread * random.normal()).toFixed(5)).join()
const network = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,3,8,8] x) => (float[N,4] y)
  <float[8,3,3,3] wa = {${list(216)}}, float[8] g = {1, 2, 0.5, 1, 1, 0.7, 1, -1}, float[8] o = {${list(8)}}, float[8] m = {${list(8)}},
   float[8] v = {1, 2, 1, 0.5, 1, 1, 2, 1}, float[8,8,3,3] wb = {${list(576, 0.15)}}, float[4,8] wc = {${list(32)}}, float[4] bc = {${list(4)}}> {
  [a] ya = Conv<pads = [1, 1, 1, 1]>(x, wa) [n] za = BatchNormalization(ya, g, o, m, v) ra = Relu(za)
  [b] yb = Conv<pads = [1, 1, 1, 1]>(ra, wb) rb = Relu(yb) p = GlobalAveragePool(rb) f = Flatten(p) [c] y = Gemm<transB = 1>(f, wc, bc) }`)
const samples = normalData({ x: [1, 3, 8, 8] }, 16)
const data = memoryData(samples)
const ops = qatOps(defaultOps)

/** A few steps in the direction of zero: enough that nothing is where it began. */
async function trainedState(trainable: ReturnType<typeof qatTrainable>) {
  const step = trainingStep({ trainable, loss: mse(), optimizer: sgd(), shapes: { x: [4, 3, 8, 8] }, ops })
  const run = await TrainingRun.load(engine, step, { seed: 4 })
  const x = Tensor.float32(
    [4, 3, 8, 8],
    Float32Array.from(samples.slice(0, 4).flatMap((s) => [...must(s.x, 'x').numbers()] as number[])),
  )
  const targets = { y: Tensor.float32([4, 4], new Float32Array(16)) }
  for (let i = 0; i < 3; i++) await run.advance({ feeds: { x }, targets }, { lr: 0.01 })
  const state = run.state()
  await run.release()
  return state
}

describe.each(Object.keys(FAKE_QUANTIZERS) as FakeQuantizerName[])('%s', (fakeQuantizer) => {
  it.each([
    ['academic', 'w2a2'],
    ['onnxruntime', 'w8a8'],
    ['tvm', 'w4a4'],
  ])('deploys on %s at %s what it trains, or says why not', async (target, scheme) => {
    const prepared = prepareQat(network, {
      engine,
      target,
      scheme,
      fakeQuantizer,
      smallLayers: 'integer',
      calibration: { data },
    })
    const failed = await prepared.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failed) {
      expect((failed as FewbitError).diagnostics.map(({ code }) => code)).toEqual(
        expect.arrayContaining(['QAT_OBSTACLE']),
      )
      return
    }
    const qfloat = await prepared
    const trained = withTrained(qfloat, await trainedState(qatTrainable(qfloat)))
    const { conversion, params } = await convertQat(trained, { engine, data, tensors: true })
    const scales = [...params.values()].flatMap(({ scale }) => scale)
    if (target === 'tvm') expect(scales.every((s) => Number.isInteger(Math.log2(s)))).toBe(true)
    for (const { value, within } of [...must(conversion, 'c').outputs, ...must(conversion?.tensors, 't')]) {
      expect(within, value).toBeGreaterThanOrEqual(0.999)
    }
  })
})

describe('biases of 32 bits', () => {
  it.each([
    ['tqt', 'tvm'],
    ['lsq', 'tvm'],
    ['pact', 'tvm'],
    ['tqt:scale=real', 'megengine'],
    ['pact', 'megengine'],
    ['pact', 'snpe'],
    ['lsq', 'snpe'],
    ['dorefa', 'snpe'],
    ['dorefa', 'tvm'],
  ] as const)('are rounded to the scales of %s, as on %s at 4 bits', async (fakeQuantizer, name) => {
    const qfloat = await prepareQat(network, {
      ...{ engine, target: name, scheme: 'w4a4', edgeBits: 4, smallLayers: 'integer', fakeQuantizer },
      ...{ weightQuantizer: fakeQuantizer === 'pact' ? 'qil' : fakeQuantizer, calibration: { data } },
    })
    expect(qfloat.record.biases.map(({ layer }) => layer)).toEqual(['a', 'c'])
    const trained = withTrained(qfloat, await trainedState(qatTrainable(qfloat)))
    const { conversion } = await convertQat(trained, { engine, data, tensors: true })
    for (const { value, equal } of [...must(conversion, 'c').outputs, ...must(conversion?.tensors, 't')]) {
      expect(equal, value).toBeGreaterThanOrEqual(0.999)
    }
  })
})
