import { statSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelInputs } from '@fewbit/core/engine'
import { evaluate } from '@fewbit/core/pipeline'
import { imageFolder, loadModel, nodeEngine } from '@fewbit/engine-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pictureData } from './picture-data.ts'
import { renderDemo } from './render-demo.ts'
import { type DemoResult, demoModel, runDemo, scores } from './run-demo.ts'
import { checkFolder, writeDemo } from './write-demo.ts'

const engine = nodeEngine({ threads: 1 })

describe('the asset', () => {
  it('is small enough to travel with the package', () => {
    expect(statSync(new URL('../../assets/demo.onnx', import.meta.url)).size).toBeLessThan(400_000)
  })

  it('is a float network with its BatchNormalizations, for batches of any size', async () => {
    const model = await demoModel()
    const types = new Set([...model.graph.nodes].map((node) => node.opType))
    for (const type of ['Conv', 'BatchNormalization', 'Relu', 'Add', 'Concat', 'MaxPool', 'Gemm']) {
      expect(types).toContain(type)
    }
    expect(types).not.toContain('QuantizeLinear')
    expect(modelInputs(model)[0]?.shape).toEqual(['N', 3, 32, 32])
  })

  it('names 95 to 99 % of the test pictures rightly', async () => {
    const { metrics } = await evaluate(await demoModel(), {
      engine,
      data: pictureData('test', 2000),
      metrics: ['top1'],
    })
    expect(metrics.top1).toBeGreaterThanOrEqual(95)
    expect(metrics.top1).toBeLessThanOrEqual(99)
  })
})

describe('the demo', () => {
  let result: DemoResult
  let folder: string
  beforeAll(async () => {
    result = await runDemo({ engine })
    folder = await mkdtemp(join(tmpdir(), 'fewbit-demo-'))
  }, 60_000)
  afterAll(async () => {
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  it('shows that careless quantization hurts and the defaults do not', () => {
    const float = scores(result.fewbit, 'before').top1 as number
    const careless = scores(result.careless, 'after')
    const fewbit = scores(result.fewbit, 'after')
    // Kernels differ between processors by single pictures of 1024, far less than these margins.
    expect(float - (careless.top1 as number)).toBeGreaterThan(2)
    expect(float - (fewbit.top1 as number)).toBeLessThan(0.7)
    expect((fewbit.sqnr as number) - (careless.sqnr as number)).toBeGreaterThan(5)
  })

  it('prints the figures that it measured', () => {
    const text = renderDemo(result, undefined)
    expect(text).toContain(`${(scores(result.careless, 'after').top1 as number).toFixed(2)} %`)
    expect(text).toContain(`${(scores(result.fewbit, 'after').top1 as number).toFixed(2)} %`)
    expect(text).toContain(result.explained.node)
  })

  it('explains the layer whose channels differ most, by the weights themselves', async () => {
    const { node, spread, text } = result.explained
    expect(node).toMatch(/^block\d\.depthwise$/)
    const block = node.replace('.depthwise', '')
    expect(text).toContain('per-channel')
    // BatchNormalization folded by hand: channel c of the weights is multiplied by gamma / sqrt(variance + epsilon).
    const initializers = [...(await demoModel()).graph.initializers]
    const numbers = (name: string) => initializers.find((v) => v.name === name)?.constant?.numbers() as Float32Array
    const [weight, gamma] = [numbers(`${node}.weight`), numbers(`${block}.norm1.gamma`)]
    const variance = numbers(`${block}.norm1.variance`)
    const ranges = Array.from(gamma, (g, c) => {
      const taps = Array.from(weight.subarray(9 * c, 9 * c + 9), Math.abs)
      return (Math.max(...taps) * Math.abs(g)) / Math.sqrt((variance[c] as number) + 1e-5)
    })
    expect(spread / (Math.max(...ranges) / Math.min(...ranges))).toBeCloseTo(1, 4)
  })

  it('writes models and pictures that score as the demo did', async () => {
    const target = join(folder, 'new')
    await writeDemo(result, target, new AbortController().signal)
    expect((await readdir(folder)).sort()).toEqual(['new'])
    expect((await readdir(target)).sort()).toEqual([
      'calibrate',
      'demo.careless.onnx',
      'demo.int8.onnx',
      'demo.onnx',
      'test',
    ])
    const model = await loadModel(join(target, 'demo.int8.onnx'))
    const written = await imageFolder(join(target, 'test'), { preset: 'unit' }).open(modelInputs(model))
    const metrics = ['top1']
    const fromFiles = await evaluate(model, { engine, data: written, metrics })
    const generated = await evaluate(model, { engine, data: pictureData('test', 256), metrics })
    expect(fromFiles.samples).toBe(256)
    expect(fromFiles.metrics.top1).toBe(generated.metrics.top1)
  })

  it('overwrites nothing', async () => {
    await expect(checkFolder(folder)).rejects.toMatchObject({ code: 'DEMO_FOLDER' })
  })

  it('leaves nothing behind when it is stopped while writing', async () => {
    const before = await readdir(folder)
    await expect(writeDemo(result, join(folder, 'stopped'), AbortSignal.abort())).rejects.toThrow('aborted')
    expect(await readdir(folder)).toEqual(before)
  })

  it('stops when it is told to', async () => {
    await expect(runDemo({ engine, signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  })
})
