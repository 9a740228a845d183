import { nodeEngine } from '@fewbit/engine-node'
import {
  engineContract,
  memoryData,
  plantedInputs,
  plantedNetwork,
  quantizedNetwork,
  randomCnn,
  randomFeeds,
} from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Engine, Feeds } from '../../engine/index.ts'
import { fuseKernels } from '../../exporters/qoperator/fuse-kernels.ts'
import { cloneModel, type Model } from '../../ir/index.ts'
import { materialize } from '../../quant/index.ts'
import { compileIntegers } from './compile.ts'
import { integerEngine } from './engine.ts'
import { IntegerSession } from './run.ts'
import { SCHEMES } from './schemes/index.ts'

const float = nodeEngine({ threads: 1 })

async function quantized(target: 'onnxruntime' | 'vitis-ai', form: 'qdq' | 'simulate'): Promise<Model> {
  const model = randomCnn(3, ['conv', 'relu', 'conv'])
  const data = memoryData([1, 2, 3, 4].map((seed) => randomFeeds(model, seed)))
  const { adjusted, plan, params } = await quantizedNetwork(model, float, data, target)
  return materialize(cloneModel(adjusted), plan, params, { form })
}

async function outputOf(engine: Engine, model: Model, feeds: Feeds): Promise<number[]> {
  const session = await engine.load(model)
  const { y } = await session.run(feeds)
  await session.release()
  return [...y!.numbers()]
}

describe('whole numbers as an engine', () => {
  const engine = integerEngine(SCHEMES.ort, float)
  it.each(engineContract(() => engine))('$name', ({ run }) => run())

  it('refuses integer operators, which would run in an arithmetic that nobody asked for', async () => {
    const model = await quantized('onnxruntime', 'qdq')
    fuseKernels(model)
    await expect(integerEngine(SCHEMES['pot-floor'], float).load(model)).rejects.toThrow(/ENGINE_LOAD.*QLinearConv/)
  })

  it('takes pairs that are written as float nodes', async () => {
    const model = await quantized('vitis-ai', 'simulate')
    const feeds = randomFeeds(model, 9)
    const [up, down] = [SCHEMES.pot, SCHEMES['pot-floor']].map((scheme) => integerEngine(scheme, float))
    expect(await outputOf(up!, model, feeds)).not.toEqual(await outputOf(down!, model, feeds))
  })

  it('needs no other engine where nothing runs in float', async () => {
    const network = compileIntegers(plantedNetwork('quantized'), SCHEMES.ort)
    expect(network.floats).toEqual([])
    const session = await IntegerSession.open(network, {})
    const [feeds] = plantedInputs(1)
    const { outputs } = await session.run(feeds!)
    expect([...outputs.y!.numbers()]).toEqual(await outputOf(float, plantedNetwork('quantized'), feeds!))
  })
})
