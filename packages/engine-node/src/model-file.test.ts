import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Graph, GraphBuilder, Model, Tensor, tensorType } from '@fewbit/core/ir'
import { afterAll, describe, expect, it } from 'vitest'
import { loadModel, saveModel } from './model-file.ts'
import { nodeEngine } from './node-engine.ts'

const folder = mkdtempSync(join(tmpdir(), 'fewbit-model-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** y = x · w with w[i][j] = i − j. */
function product(): Model {
  const builder = new GraphBuilder(new Graph('product'))
  const x = builder.input('x', tensorType('float32', [1, 32]))
  const values = Float32Array.from({ length: 32 * 32 }, (_, k) => Math.floor(k / 32) - (k % 32))
  const y = builder.op('MatMul', [x, builder.constant('w', Tensor.float32([32, 32], values))], {}, { output: 'y' })
  y.type = tensorType('float32', [1, 32])
  builder.output(y)
  const model = new Model(builder.graph)
  model.opsets.set('', 13)
  model.irVersion = 8
  return model
}

const run = async (path: string): Promise<number[]> => {
  const session = await nodeEngine().load({ path })
  const { y } = await session.run({ x: Tensor.float32([1, 32], new Float32Array(32).fill(1)) })
  await session.release()
  return Array.from(y?.numbers() ?? [])
}

/** Σᵢ (i − j) over i = 0…31. */
const expected = Array.from({ length: 32 }, (_, j) => 496 - 32 * j)

describe('model files', () => {
  it('keeps large weights beside the model when asked to', async () => {
    const path = join(folder, 'apart.onnx')
    await saveModel(product(), path, { externalData: true })
    expect(statSync(path).size).toBeLessThan(1024)
    expect(statSync(`${path}.data`).size).toBe(4096)
    expect(await run(path)).toEqual(expected)
  })

  it('saves a model with external data whole, wherever it goes and whatever becomes of the data file', async () => {
    const apart = join(folder, 'source.onnx')
    await saveModel(product(), apart, { externalData: true })
    const whole = join(folder, 'whole.onnx')
    await saveModel(await loadModel(apart), whole)
    rmSync(`${apart}.data`)
    expect(existsSync(`${whole}.data`)).toBe(false)
    expect(await run(whole)).toEqual(expected)
  })

  it('saves over the model that it reads from', async () => {
    const path = join(folder, 'same.onnx')
    await saveModel(product(), path, { externalData: true })
    await saveModel(await loadModel(path), path, { externalData: true })
    expect(await run(path)).toEqual(expected)
  })

  it('hands an engine a graph whose weights lie in another file', async () => {
    const path = join(folder, 'engine.onnx')
    await saveModel(product(), path, { externalData: true })
    const session = await nodeEngine().load(await loadModel(path))
    const { y } = await session.run({ x: Tensor.float32([1, 32], new Float32Array(32).fill(1)) })
    await session.release()
    expect(Array.from(y?.numbers() ?? [])).toEqual(expected)
    expect(readFileSync(path).byteLength).toBeLessThan(1024)
  })
})
