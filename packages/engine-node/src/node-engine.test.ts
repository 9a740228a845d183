import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { probeModel } from '@fewbit/core/engine'
import { serializeModel } from '@fewbit/core/ir'
import { castTo, engineContract, quantizedProduct } from '@fewbit/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodeEngine } from './node-engine.ts'

const engine = nodeEngine({ threads: 1 })

describe('nodeEngine', () => {
  it.each(engineContract(() => engine))('$name', ({ run }) => run())

  it('says which file it cannot load', async () => {
    const missing = engine.load({ path: 'no-such-model.onnx' })
    await expect(missing).rejects.toThrow(/ENGINE_LOAD[\s\S]*no-such-model.onnx/)
  })
})

describe('probing', () => {
  it('leaves the model as it is, and refuses what is not there or cannot leave', () => {
    const model = castTo('int4')
    expect(() => probeModel(model, ['nothing'])).toThrow(/PROBE_MISSING/)
    expect(() => probeModel(model, ['y'])).toThrow(/ENGINE_UNSUPPORTED/)
    expect(probeModel(model, ['x']).graph.outputs).toHaveLength(2)
    expect(model.graph.outputs.map((v) => v.name)).toEqual(['y'])
  })
})

describe('optimization', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fewbit-engine-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    ['all', true],
    ['simulate', false],
    ['none', false],
  ] as const)('%s: integer kernel %s', async (optimization, fused) => {
    const saveOptimized = join(folder, `${optimization}.onnx`)
    const session = await engine.load(serializeModel(quantizedProduct()), { optimization, saveOptimized, arena: false })
    await session.release()
    expect((await readFile(saveOptimized, 'latin1')).includes('QLinearMatMul')).toBe(fused)
  })
})
