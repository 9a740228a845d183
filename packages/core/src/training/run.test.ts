import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { parseModel, Tensor, verify } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { rng } from '../util/index.ts'
import {
  crossEntropy,
  sgd,
  TrainingRun,
  type TrainingStepOptions,
  trainable,
  trainingStep,
  withState,
} from './index.ts'

const engine = nodeEngine({ threads: 1 })
const ops = defaultOps

const network = () => {
  const random = rng(3)
  const list = (count: number) => Array.from({ length: count }, () => (random.normal() * 0.4).toFixed(4)).join(', ')
  return parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,2,6,6] x) => (float32[N,3] y)
    <float32[4,2,3,3] w = {${list(72)}}, float32[4] s = {1, 1, 1, 1}, float32[4] b = {0, 0, 0, 0}, float32[4] m = {0, 0, 0, 0},
     float32[4] v = {1, 1, 1, 1}, float32[3,4] wf = {${list(12)}}, float32[3] bf = {0, 0, 0}> {
    c = Conv<pads = [1, 1, 1, 1]>(x, w) n = BatchNormalization(c, s, b, m, v) r = Relu(n)
    p = GlobalAveragePool(r) f = Flatten(p) y = Gemm<transB = 1>(f, wf, bf) }`)
}

/** Classes differ in the mean of the first channel. */
function batch(seed: number, size: number) {
  const random = rng(seed)
  const labels = Array.from({ length: size }, () => random.int(3))
  const x = new Float32Array(size * 72)
  for (let i = 0; i < x.length; i++) {
    const isFirst = Math.floor(i / 36) % 2 === 0
    x[i] = random.normal() + (isFirst ? (labels[Math.floor(i / 72)] as number) - 1 : 0)
  }
  return { feeds: { x: Tensor.float32([size, 2, 6, 6], x) }, labels: Int32Array.from(labels) }
}

const options = (): TrainingStepOptions => {
  return { trainable: trainable(network(), ops), loss: crossEntropy(), optimizer: sgd({ momentum: 0.9 }), ops }
}

describe('TrainingRun', () => {
  it('writes a valid graph, and makes the loss small', async () => {
    const step = trainingStep(options())
    expect(verify(step.model)).toEqual([])
    const run = await TrainingRun.load(engine, step)
    const losses: number[] = []
    for (let i = 0; i < 40; i++) losses.push((await run.advance(batch(i, 16), { lr: 0.05 })).loss)
    const { hits } = await run.advance(batch(99, 64), { lr: 0 })
    expect(losses[0]).toBeCloseTo(Math.log(3), 0)
    expect(losses.at(-1)).toBeLessThan(0.4)
    expect(hits).toBeGreaterThan(55)
    const trained = withState(network(), run.state(), ops)
    await run.release()
    const session = await engine.load(trained)
    const { y } = await session.run(batch(99, 64).feeds)
    expect(y?.dims).toEqual([64, 3])
    await session.release()
  })
})
