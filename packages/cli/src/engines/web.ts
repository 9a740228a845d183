import { availableParallelism } from 'node:os'
import { Graph, Model, Node, Tensor, tensorType, Value } from '@fewbit/core/ir'
import { FewbitError } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { webEngine } from '@fewbit/engine-web'
import { chromiumEngine } from '@fewbit/engine-web/chromium'
import type { EngineSource, OpenedEngine } from './engine-source.ts'

const MAX_THREADS = 4

export const wasm: EngineSource = {
  summary: 'ONNX Runtime Web, WebAssembly, in this process',
  open: async () => ({ engine: await webEngine({ threads: Math.min(MAX_THREADS, availableParallelism()) }) }),
}

const inChromium = async (provider: 'wasm' | 'webgpu'): Promise<OpenedEngine> => {
  const { engine, adapter, close } = await chromiumEngine({ provider })
  return { engine, close, ...(adapter && { on: adapter }) }
}

export const chromiumWasm: EngineSource = {
  summary: 'ONNX Runtime Web, WebAssembly, in headless Chromium',
  open: () => inChromium('wasm'),
}

export const chromiumWebGpu: EngineSource = {
  summary: 'ONNX Runtime Web, WebGPU, in headless Chromium (in software where there is no graphics card)',
  open: () => inChromium('webgpu'),
}

/** ONNX Runtime for Node says that it has WebGPU wherever it was built with it: only a session tells. */
export const nodeWebGpu: EngineSource = {
  summary: 'ONNX Runtime for Node, WebGPU, where there is an adapter',
  async open() {
    const engine = nodeEngine({ providers: ['webgpu'] })
    await (await engine.load(smallest())).release()
    return { engine: { ...engine, name: 'onnxruntime-node-webgpu' } }
  },
}

export const webGpu: EngineSource = {
  summary: 'node-webgpu where there is an adapter, else chromium-webgpu',
  async open() {
    try {
      return await nodeWebGpu.open()
    } catch (error) {
      if (error instanceof FewbitError) return chromiumWebGpu.open()
      throw error
    }
  },
}

function smallest(): Model {
  const graph = new Graph()
  const [x, y] = ['x', 'y'].map((name) => new Value(name, tensorType('float32', [1]))) as [Value, Value]
  graph.inputs.push(x)
  graph.outputs.push(y)
  const one = graph.addInitializer('one', Tensor.float32([1], [1]))
  graph.add(new Node({ opType: 'Add', inputs: [x, one], outputs: [y] }))
  const model = new Model(graph)
  model.opsets.set('', 17)
  return model
}
