import type { Engine, Feeds } from '@fewbit/core/engine'
import { serializeModel, Tensor } from '@fewbit/core/ir'
import {
  engineContract,
  quantizedInputScale,
  quantizedProduct,
  quantizedProductOf,
  quantizedProductScale,
  randomCnn,
  randomFeeds,
} from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { webEngine } from './web-engine.ts'
import { webGpuAdapter } from './webgpu-adapter.ts'

let engine: Engine
beforeAll(async () => {
  engine = await webEngine({ threads: 2 })
})

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error) => error.code,
  )

describe('ONNX Runtime Web in Node', () => {
  it.each(engineContract(() => engine))('$name', ({ run }) => run())

  it('runs quantized networks on integer kernels unless they are to be simulated', async () => {
    const session = await engine.load(quantizedProduct())
    const x = Tensor.float32(
      [256, 1],
      Float32Array.from({ length: 256 }, (_, a) => a * quantizedInputScale),
    )
    const { y } = await session.run({ x })
    await session.release()
    const codes = Array.from(y?.numbers() ?? [], (v) => Math.round(v / quantizedProductScale))
    expect(codes).toEqual(codes.map((_, a) => quantizedProductOf(a, 'integer')))
  })

  it('runs one task at a time: what is asked for at once is as if asked for in turn', async () => {
    const models = [1, 2, 3].map((seed) => randomCnn(seed, ['conv', 'relu', 'convNorm']))
    const outputsOf = async (seed: number): Promise<Feeds> => {
      const model = models[seed - 1]!
      const session = await engine.load(model)
      const outputs = await Promise.all([seed, seed + 10].map((s) => session.run(randomFeeds(model, s))))
      await session.release()
      return Object.fromEntries(outputs.flatMap((o, i) => Object.entries(o).map(([name, t]) => [`${name}${i}`, t])))
    }
    const together = await Promise.all([1, 2, 3].map(outputsOf))
    for (const seed of [1, 2, 3]) {
      const alone = await outputsOf(seed)
      for (const [name, tensor] of Object.entries(alone)) {
        expect(together[seed - 1]?.[name]?.storage()).toEqual(tensor.storage())
      }
    }
  })

  it('keeps its settings for the life of the process', async () => {
    expect(await codeOf(webEngine({ threads: 2 }))).toBe('no error')
    expect(await codeOf(webEngine({ threads: 1 }))).toBe('ENGINE_STARTED')
    expect(await codeOf(webEngine({ threads: 2, assets: 'https://example.com/' }))).toBe('ENGINE_STARTED')
  })

  it('says what it cannot do', async () => {
    const model = serializeModel(randomCnn(1, ['conv']))
    const failure = async (options: object) => codeOf(Promise.resolve().then(() => engine.load(model, options)))
    expect(await failure({ profile: 'trace' })).toBe('ENGINE_FILES')
    expect(await failure({ saveOptimized: 'x.onnx' })).toBe('ENGINE_FILES')
    expect(await webGpuAdapter()).toBeUndefined()
    expect(await codeOf(webEngine({ provider: 'webgpu' }))).toBe('ENGINE_ADAPTER')
  })
})
