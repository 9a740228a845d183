import { serializeModel, Tensor } from '@fewbit/core/ir'
import { env, InferenceSession, Tensor as WebTensor } from 'onnxruntime-web'
import type { Backend, BackendRun, Case } from '../backend.ts'
import { joined } from '../cases.ts'
import { ORT } from './onnxruntime.ts'

/** The WebAssembly build, which runs in Node as it does in a browser. */
export const onnxruntimeWeb: Backend = {
  ...ORT,
  target: 'onnxruntime-web',
  name: 'onnxruntime-web',
  title: 'ONNX Runtime Web, wasm',
  run: runWasm,
}

async function runWasm({ quantized, samples }: Case): Promise<BackendRun> {
  // Threads would be web workers of their own; results do not depend on their number.
  env.wasm.numThreads = 1
  env.logLevel = 'error'
  const session = await InferenceSession.create(serializeModel(quantized), { executionProviders: ['wasm'] })
  const runs: Record<string, Tensor>[] = []
  for (const feeds of samples) {
    const tensors = Object.entries(feeds).map(([name, t]) => [name, toWeb(t)] as const)
    const outputs = await session.run(Object.fromEntries(tensors))
    runs.push(Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, fromWeb(t)])))
  }
  await session.release()
  return { version: env.versions.web ?? env.versions.common, outputs: joined(runs) }
}

const toWeb = (tensor: Tensor): WebTensor => new WebTensor('float32', Float32Array.from(tensor.numbers()), tensor.dims)

const fromWeb = (tensor: WebTensor): Tensor => Tensor.float32(tensor.dims, tensor.data as Float32Array)
