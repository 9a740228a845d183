// First: it must run before the library is loaded.
import './no-telemetry.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Engine,
  type LoadOptions,
  loadOrtSession,
  type ModelSource,
  type OrtBindings,
  type Session,
} from '@fewbit/core/engine'
import { type Model, modelBytes, serializeModel } from '@fewbit/core/ir'
import { MAX_MODEL_BYTES } from '@fewbit/core/onnx'
import { env, InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node'
import { startKernelPool } from './kernel-pool.ts'
import { saveModel } from './model-file.ts'

/** Defaults for every session; `load` overrides them. */
export type NodeEngineOptions = Pick<LoadOptions, 'threads' | 'providers' | 'arena'>

/** ONNX Runtime for Node as an engine. */
export function nodeEngine(defaults: NodeEngineOptions = {}): Engine {
  env.logLevel = 'error'
  return {
    name: 'onnxruntime-node',
    version: env.versions.node ?? env.versions.common,
    capabilities: {
      // What onnxruntime 1.30 accepts; it refuses a file above either.
      maxOpset: 26,
      maxIrVersion: 13,
      providers: listSupportedBackends().map((backend) => backend.name),
      threads: defaults.threads ?? availableParallelism(),
    },
    load: (model, options = {}) => load(model, { ...defaults, ...options }),
    startPool: startKernelPool,
  }
}

const BINDINGS: OrtBindings = {
  // The overloads know files and bytes only one at a time.
  create: (model, options) => InferenceSession.create(model as Uint8Array, options),
  tensor: (type, data, dims) => new Tensor(type as 'float32', data as Float32Array, dims),
}

/** Graphs too large for one message reach ONNX Runtime through a temporary file with external data. */
async function load(model: ModelSource, options: LoadOptions): Promise<Session> {
  if (!('graph' in model)) return loadOrtSession(BINDINGS, model, options)
  return modelBytes(model) <= MAX_MODEL_BYTES
    ? loadOrtSession(BINDINGS, serializeModel(model), options)
    : loadFromFile(model, options)
}

async function loadFromFile(model: Model, options: LoadOptions): Promise<Session> {
  const folder = await mkdtemp(join(tmpdir(), 'fewbit-'))
  try {
    const path = join(folder, 'model.onnx')
    await saveModel(model, path)
    return await loadOrtSession(BINDINGS, { path }, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
