import { nodeEngine } from '@fewbit/engine-node'
import { expect, it } from 'vitest'
import { asTensor, parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { rng } from '../util/index.ts'
import { crossEntropy, sgd, TrainingRun, trainable, trainingStep } from './index.ts'

const network = () =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,2] x) => (float32[N,2] y)
    <float32[2] s = {1, 1}, float32[2] b = {0, 0}, float32[2] m = {3, -2}, float32[2] v = {4, 5}> {
    y = BatchNormalization<momentum = 0.8>(x, s, b, m, v) }`)

it('averages the statistics of batches, and leaves what it was given alone', async () => {
  const model = network()
  const step = trainingStep({
    trainable: trainable(model, defaultOps),
    loss: crossEntropy(),
    optimizer: sgd(),
    ops: defaultOps,
  })
  const run = await TrainingRun.load(nodeEngine({ threads: 1 }), step)
  const random = rng(1)
  const type = asTensor(step.model.graph.inputs.find(({ name }) => name === step.labels)?.type)
  const labels = Tensor.fromNumbers(type?.dtype ?? 'int32', [8], new Float32Array(8))
  const expected = { m: [3, -2], v: [4, 5] }
  for (let t = 0; t < 3; t++) {
    const x = Float32Array.from({ length: 16 }, random.normal)
    const before = [...run.state()].map(([name, tensor]) => [name, Array.from(tensor.numbers())] as const)
    const kept = new Map(run.state())
    await run.advance({ feeds: { x: Tensor.float32([8, 2], x) }, labels }, { lr: 0 })
    for (const [name, numbers] of before) expect(Array.from(kept.get(name)?.numbers() ?? [])).toEqual(numbers)
    for (const c of [0, 1]) {
      const column = Array.from({ length: 8 }, (_, n) => x[2 * n + c]!)
      const mean = column.reduce((a, b) => a + b) / 8
      const unbiased = column.reduce((a, b) => a + (b - mean) ** 2, 0) / 7
      expected.m[c] = 0.8 * expected.m[c]! + 0.2 * mean
      expected.v[c] = 0.8 * expected.v[c]! + 0.2 * unbiased
    }
    for (const name of ['m', 'v'] as const) {
      const found = run.state().get(name)?.numbers()
      for (const c of [0, 1]) expect(found?.[c]).toBeCloseTo(expected[name][c]!, 5)
    }
  }
  expect(Array.from(step.state.find(({ name }) => name === 'm')!.initial.numbers())).toEqual([3, -2])
  await run.release()
})
