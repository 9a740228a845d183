import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodeEngine } from '@fewbit/engine-node'
import { randomFeeds } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { readModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { must } from '../util/index.ts'
import { adam, crossEntropy, type StepBatch, TrainingRun, trainable, trainingStep, withState } from './index.ts'

const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const engine = nodeEngine()
const ops = defaultOps

// Batch size and rate.
const NETWORKS = [
  ['mnist_cnn', 1, 1e-3],
  ['cifar_resnet20', 8, 1e-3],
  ['cifar_vit_ibp_3_3_8', 8, 2e-3],
  ['kws_honk_res8', 4, 1e-3],
  ['vww_mobilenetv1_025_96', 4, 1e-3],
] as const

describe.skipIf(!existsSync(`${DATA}/models`))('published networks train', () => {
  it.each(NETWORKS)('%s learns a batch by heart', async (name, size, lr) => {
    const model = readModel(readFileSync(`${DATA}/models/${name}.onnx`))
    const symbol = { N: size, batch_size: size }
    const feeds = randomFeeds(model, 5, symbol)
    const shapes = Object.fromEntries(Object.entries(feeds).map(([input, { dims }]) => [input, dims]))
    const step = trainingStep({
      trainable: trainable(model, ops),
      loss: crossEntropy(),
      optimizer: adam(),
      shapes,
      ops,
    })
    const run = await TrainingRun.load(engine, step)
    const batch: StepBatch = { feeds, labels: Int32Array.from({ length: size }, (_, i) => i % 2) }
    const losses: number[] = []
    for (let i = 0; i < 10; i++) losses.push((await run.advance(batch, { lr })).loss)
    const state = run.state()
    await run.release()
    expect(losses.at(-1)).toBeLessThan(0.5 * must(losses[0], 'loss'))
    const session = await engine.load(withState(model, state, ops))
    const before = await engine.load(model)
    const [trained] = Object.values(await session.run(feeds))
    const [untrained] = Object.values(await before.run(feeds))
    expect(trained?.dims).toEqual(untrained?.dims)
    expect([...must(trained, 'output').numbers()]).not.toEqual([...must(untrained, 'output').numbers()])
    await Promise.all([session.release(), before.release()])
  })
})
