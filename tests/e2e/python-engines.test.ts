import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import type { Feeds } from '@fewbit/core/engine'
import { type Model, safeRemove, Tensor, tensorType } from '@fewbit/core/ir'
import { verify } from '@fewbit/core/pipeline'
import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, plantedInputs, plantedNetwork } from '@fewbit/testkit'
import { quantize } from 'fewbit'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openEngines } from '../../packages/cli/src/engines/index.ts'
import { Folder } from './harness.ts'
import { smallCnn } from './networks.ts'

const PYTHON = process.env.FEWBIT_PYTHON ?? 'python3'
const brings = (module: string): boolean => spawnSync(PYTHON, ['-c', `import ${module}`]).status === 0
const pnnx = "import importlib.util; assert importlib.util.find_spec('pnnx')"
const there = {
  openvino: brings('openvino'),
  litert: brings('ai_edge_litert.interpreter'),
  ncnn: brings('ncnn, onnx') && spawnSync(PYTHON, ['-c', pnnx]).status === 0,
  mnn: brings('MNN'),
}

/** Outputs of a network on engines by name. */
async function run(names: readonly string[], model: Model, feeds: Feeds): Promise<Tensor[]> {
  const { engines, close } = await openEngines(names)
  try {
    const outputs: Tensor[] = []
    for (const { engine } of engines) {
      const session = await engine.load(model)
      outputs.push((await session.run(feeds)).y as Tensor)
      await session.release()
    }
    return outputs
  } finally {
    await close()
  }
}

/** A network as a target quantizes it, and what engines make of it. */
async function certificateOf(target: string, names: readonly string[], float: Model, feeds: readonly Feeds[]) {
  const data = memoryData(feeds)
  const engine = nodeEngine({ threads: 1 })
  const calibration = { data, observer: 'minmax' }
  const quantized = await quantize(float, { engine, target, calibration, smallLayers: 'integer' })
  const { engines, close } = await openEngines(names)
  try {
    return await verify(quantized.float, quantized.model, { engine, engines, data, intermediate: true })
  } finally {
    await close()
  }
}

// `pip install …` for the interpreter that FEWBIT_PYTHON names: docs/engines.md says what each one needs.
describe.each([
  ['openvino', 'openvino'],
  ['litert', 'litert'],
  ['litert-xnnpack', 'litert'],
  ['ncnn', 'ncnn'],
  ['mnn', 'mnn'],
] as const)('%s by its Python package', (name, module) => {
  it.skipIf(!there[module])('runs a float network as ONNX Runtime does', async () => {
    const [feeds] = plantedInputs(1)
    const [expected, found] = await run(['node-cpu', name], plantedNetwork('float'), feeds as Feeds)
    expect(found?.dims).toEqual(expected?.dims)
    for (const [i, value] of Array.from(found?.numbers() ?? []).entries())
      expect(value).toBeCloseTo(expected?.numbers()[i] as number, 4)
  })
})

it.skipIf(!there.openvino)('OpenVINO refuses what is no network', async () => {
  const { engines, close } = await openEngines(['openvino'])
  await expect(engines[0]?.engine.load(new Uint8Array([1, 2, 3]))).rejects.toThrow(/ENGINE_LOAD.*OpenVINO/)
  await close()
})

describe('quantized networks on engines that are handed exports', () => {
  const planted = [plantedNetwork('float'), plantedInputs(4)] as const

  it.skipIf(!there.litert)('LiteRT computes the codes of the interpreter, also of intermediates', async () => {
    const { engines, verdict } = await certificateOf(
      'tflite',
      ['integer:tflite', 'litert', 'litert-xnnpack'],
      ...planted,
    )
    expect(verdict).toBe('agree')
    for (const { quantized } of engines.slice(1)) {
      const layers = quantized.layers ?? []
      expect(layers.length).toBeGreaterThan(5)
      // Vector code of its own kernels takes single ties to the other side.
      for (const { accumulated } of layers) expect(accumulated.differing).toBeLessThanOrEqual(1)
    }
  })

  it.skipIf(!there.litert)('LiteRT says what it cannot hold, and for which target to quantize', async () => {
    const model = plantedNetwork('quantized')
    const zero = [...model.graph.initializers].find(({ name }) => name === 'conv1_weight_zero')
    if (zero) zero.constant = Tensor.fromStorage('int8', [8], new Int8Array(8).fill(3))
    await expect(run(['litert'], model, plantedInputs(1)[0] as Feeds)).rejects.toThrow(
      /ENGINE_LOAD[\s\S]*LiteRT cannot hold the network[\s\S]*--target tflite/,
    )
  })

  it.skipIf(!there.mnn)('MNN agrees with the simulation', async () => {
    const { engines } = await certificateOf('mnn', ['node-cpu', 'mnn'], convolutions(), cnnInputs)
    const { outputs, layers, unlocated } = engines[1]?.quantized ?? {}
    expect(outputs?.elements).toBe(4 * 16 * 8 * 8)
    expect(outputs?.sqnr).toBeGreaterThan(40)
    expect(unlocated).toBeUndefined()
    expect(layers?.map(({ node }) => node)).toEqual(expect.arrayContaining(['relu1', 'relu2']))
  })

  it.skipIf(!there.ncnn)('ncnn agrees with the simulation', async () => {
    const { engines } = await certificateOf('ncnn', ['node-cpu', 'ncnn'], ...planted)
    const { outputs, layers, unlocated } = engines[1]?.quantized ?? {}
    expect(outputs?.sqnr).toBeGreaterThan(40)
    expect(unlocated).toBeUndefined()
    // Tensors stand on their grid, though ncnn shows them as they were before.
    for (const { accumulated } of layers ?? []) expect(accumulated.sqnr).toBeGreaterThan(40)
    expect(layers?.length).toBeGreaterThan(5)
  })
})

/** MNN takes the floor of means, which the simulation rounds: so without them. */
function convolutions(): Model {
  const model = smallCnn()
  const last = [...model.graph.nodes].find(({ name }) => name === 'relu2')?.outputs[0]
  if (last) last.type = tensorType('float32', ['N', 16, 8, 8])
  if (last) model.graph.outputs.splice(0, 1, last)
  for (const node of [...model.graph.nodes].reverse()) safeRemove(node)
  return model
}

const cnnInputs: readonly Feeds[] = Array.from({ length: 4 }, (_, i) => ({
  x: Tensor.float32(
    [1, 3, 8, 8],
    Array.from({ length: 192 }, (_, k) => Math.sin((i * 192 + k) ** 2)),
  ),
}))

describe('without Python or its packages', () => {
  afterEach(() => vi.unstubAllEnvs())
  const work = new Folder()

  it.each([
    ['openvino', 'openvino'],
    ['litert', 'ai-edge-litert numpy'],
    ['litert-xnnpack', 'ai-edge-litert numpy'],
    ['ncnn', 'ncnn onnx numpy'],
    ['mnn', 'MNN numpy'],
  ])('%s says what to install, and how', async (name, packages) => {
    // No package at all: the interpreter does not look into its folders.
    work.put('bare-python', new TextEncoder().encode(`#!/bin/sh\nexec python3 -S "$@"\n`))
    chmodSync(work.at('bare-python'), 0o755)
    vi.stubEnv('FEWBIT_PYTHON', work.at('bare-python'))
    await expect(openEngines([name])).rejects.toThrow(
      new RegExp(`ENGINE_ABSENT.*the engine ${name} is not at hand[\\s\\S]*-m pip install ${packages}`),
    )
  })

  it('says that there is no interpreter', async () => {
    vi.stubEnv('FEWBIT_PYTHON', work.at('no-python'))
    await expect(openEngines(['litert'])).rejects.toThrow(/ENGINE_ABSENT[\s\S]*no-python[\s\S]*FEWBIT_PYTHON/)
  })
})
