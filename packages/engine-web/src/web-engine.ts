/// <reference path="./wasm.d.ts" />
import { type Engine, type LoadOptions, loadOrtSession, type ModelSource, type Session } from '@fewbit/core/engine'
import { modelBytes, serializeModel } from '@fewbit/core/ir'
import { MAX_MODEL_BYTES } from '@fewbit/core/onnx'
import { problem } from '@fewbit/core/util'
import { StartedLibrary, type WebLibrary } from './library.ts'
import { hasWebGpu } from './webgpu-adapter.ts'

export interface WebEngineOptions {
  /** `wasm` (default): WebAssembly. `webgpu`: a GPU, and WebAssembly for operators that have no kernel there. */
  readonly provider?: 'wasm' | 'webgpu'
  /**
   * Threads inside one operator, for all sessions of a page or process. Default: one per core, at most four; one in a page that is not
   * cross-origin isolated, where memory cannot be shared.
   */
  readonly threads?: number
  /** URL of the folder with the files `ort-wasm-*` of onnxruntime-web, with a slash at the end. Default: beside the script. */
  readonly assets?: string
}

/** Above four, small networks wait for their threads; ONNX Runtime Web itself takes no more by default. */
const MAX_THREADS = 4

const BUILDS: Record<'wasm' | 'webgpu', () => Promise<WebLibrary>> = {
  wasm: () => import('#wasm'),
  webgpu: () => import('onnxruntime-web/webgpu'),
}

const started = new Map<string, StartedLibrary>()

/**
 * ONNX Runtime Web as an engine, in browsers and, with WebAssembly, in Node. Sessions are created and run one after the other, also those of
 * different engines.
 * @throws FewbitError ENGINE_ADAPTER where there is no WebGPU adapter; ENGINE_STARTED for settings other than those of an engine before.
 */
export async function webEngine(options: WebEngineOptions = {}): Promise<Engine> {
  const { provider = 'wasm', threads = defaultThreads(), assets } = options
  if (provider === 'webgpu' && !(await hasWebGpu())) throw noAdapter()
  const library = await start(provider, { threads, assets })
  return {
    name: provider === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-webgpu',
    version: library.version,
    // What ONNX Runtime 1.30 accepts; it refuses a file above either.
    capabilities: { maxOpset: 26, maxIrVersion: 13, providers: [provider], threads },
    load: (model, loading = {}) => load(library, model, { providers: [provider], ...loading }),
  }
}

async function start(provider: 'wasm' | 'webgpu', settings: ConstructorParameters<typeof StartedLibrary>[1]) {
  const build = await BUILDS[provider]()
  // Two engines may have been asked for at once.
  const running = started.get(provider)
  running?.require(settings)
  const library = running ?? new StartedLibrary(build, settings)
  started.set(provider, library)
  return library
}

function defaultThreads(): number {
  const isShared = globalThis.crossOriginIsolated ?? typeof SharedArrayBuffer !== 'undefined'
  return isShared ? Math.min(MAX_THREADS, globalThis.navigator?.hardwareConcurrency ?? 1) : 1
}

function noAdapter(): Error {
  return problem('ENGINE_ADAPTER', 'there is no WebGPU adapter here', {
    fix: 'take the provider wasm, or a browser that has WebGPU switched on',
  })
}

async function load({ bindings }: StartedLibrary, model: ModelSource, options: LoadOptions): Promise<Session> {
  if (options.profile !== undefined || options.saveOptimized !== undefined) throw noFiles()
  if (!('graph' in model)) return loadOrtSession(bindings, model, options)
  if (modelBytes(model) > MAX_MODEL_BYTES) throw tooLarge()
  return loadOrtSession(bindings, serializeModel(model), options)
}

const noFiles = () =>
  problem('ENGINE_FILES', 'ONNX Runtime Web has no disk to write a trace or an optimized graph to', {
    fix: 'take the engine for Node, which optimizes graphs in the same way',
  })

const tooLarge = () =>
  problem('ENGINE_LOAD', 'the model is larger than 2 GiB, which WebAssembly cannot hold besides its results', {
    fix: 'run it with the engine for Node',
  })
