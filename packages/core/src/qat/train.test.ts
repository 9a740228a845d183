import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { qatOps } from '../fake-quantizers/index.ts'
import { parseModel, Tensor, valuesByName, verify } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { convertQat, prepareQat } from '../pipeline/index.ts'
import { crossEntropy, sgd, TrainingRun, trainingStep } from '../training/index.ts'
import { must, rng } from '../util/index.ts'
import { BATCH_NORM_STRATEGIES, type BatchNormName } from './batch-norm/index.ts'
import { type QFloat, withTrained } from './qfloat.ts'
import { qatTrainable } from './train.ts'

const engine = nodeEngine({ threads: 1 })
const ops = qatOps(defaultOps)
const random = rng(3)
const list = (count: number) => Array.from({ length: count }, () => (random.normal() * 0.4).toFixed(4)).join()
const network = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,2,6,6] x) => (float[N,3] y)
  <float[6,2,3,3] w = {${list(108)}}, float[6] b = {${list(6)}}, float[6] s = {1, 1, 1, 1, 1, 0}, float[6] o = {${list(6)}},
   float[6] m = {${list(6)}}, float[6] v = {1, 1, 1, 1, 1, 1}, float[3,6] wf = {${list(18)}}, float[3] bf = {0, 0, 0}> {
  [conv] c = Conv<pads = [1, 1, 1, 1]>(x, w, b) [norm] n = BatchNormalization(c, s, o, m, v) r = Relu(n)
  p = GlobalAveragePool(r) f = Flatten(p) [head] y = Gemm<transB = 1>(f, wf, bf) }`)

/** Classes differ in the mean of the first channel. */
function batch(seed: number, size: number) {
  const own = rng(seed)
  const labels = Array.from({ length: size }, () => own.int(3))
  const x = Float32Array.from({ length: size * 72 }, (_, i) => {
    const isFirst = Math.floor(i / 36) % 2 === 0
    return own.normal() + (isFirst ? must(labels[Math.floor(i / 72)], 'label') - 1 : 0)
  })
  return { feeds: { x: Tensor.float32([size, 2, 6, 6], x) }, labels: Tensor.fromNumbers('int32', [size], labels) }
}

const calibration = { data: memoryData(normalData({ x: [1, 2, 6, 6] }, 32)) }
const NAMES = Object.keys(BATCH_NORM_STRATEGIES) as BatchNormName[]

describe('training with fake-quantizers', () => {
  it.each(NAMES)(
    'makes the loss small, and the quantized network is the one that was trained (%s)',
    async (batchNorm) => {
      const qfloat = await prepareQat(network, {
        engine,
        target: 'tensorrt',
        batchNorm,
        fakeQuantizer: 'lsq',
        calibration,
      })
      const trainable = qatTrainable(qfloat, ops)
      const step = trainingStep({ trainable, loss: crossEntropy(), optimizer: sgd({ momentum: 0.9 }), ops })
      expect(verify(step.model)).toEqual([])
      const run = await TrainingRun.load(engine, step)
      const losses: number[] = []
      for (let i = 0; i < 60; i++) losses.push((await run.advance(batch(i, 16), { lr: 0.05 })).loss)
      const last = losses.slice(-10).reduce((a, b) => a + b, 0) / 10
      expect(last).toBeLessThan(0.6)
      expect(losses.every(Number.isFinite)).toBe(true)
      const trained = withTrained(qfloat, run.state())
      await run.release()
      const scale = must(qfloat.record.quantizers[0]?.inputs[0]?.initializer, 'scale')
      const at = (network: QFloat) => valuesByName(network.model.graph).get(scale)?.constant?.numbers()[0]
      expect(at(trained)).not.toBe(at(qfloat))
      const { feeds, labels } = batch(99, 96)
      const { model, conversion } = await convertQat(trained, { engine, data: memoryData([feeds]) })
      expect(conversion?.outputs[0]).toMatchObject({ within: 1 })
      const session = await engine.load(model, { optimization: 'simulate' })
      const { y } = await session.run(feeds)
      await session.release()
      const scores = must(y, 'y').numbers()
      const hits = Array.from(labels.numbers(), (label, i) => {
        const row = Array.from({ length: 3 }, (_, c) => scores[i * 3 + c] as number)
        return row.indexOf(Math.max(...row)) === Number(label) ? 1 : 0
      }).reduce((a: number, b) => a + b, 0)
      expect(hits).toBeGreaterThan(70)
    },
  )
})
