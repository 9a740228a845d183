import type { OrtBindings, OrtInferenceSession } from '@fewbit/core/engine'
import { problem } from '@fewbit/core/util'
import type { env as Env, InferenceSession as Sessions, Tensor as Tensors } from 'onnxruntime-web'
import { Queue } from './queue.ts'

/** A build of ONNX Runtime Web. */
export interface WebLibrary {
  readonly env: typeof Env
  readonly InferenceSession: typeof Sessions
  readonly Tensor: typeof Tensors
}

/** What holds for a build from its first session on. */
export interface LibrarySettings {
  readonly threads: number
  readonly assets: string | undefined
}

/**
 * One build in one page or process. Its module lives once and is not re-entrant: two sessions that are created or run at the same time disturb
 * each other (on WebGPU they fail), so that everything goes through one queue, whoever asks.
 */
export class StartedLibrary {
  readonly version: string
  readonly bindings: OrtBindings
  readonly #settings: LibrarySettings
  readonly #queue = new Queue()

  constructor({ env, InferenceSession, Tensor }: WebLibrary, settings: LibrarySettings) {
    this.#settings = settings
    env.logLevel = 'error'
    env.wasm.numThreads = settings.threads
    if (settings.assets !== undefined) env.wasm.wasmPaths = settings.assets
    this.version = env.versions.web ?? env.versions.common
    this.bindings = {
      create: (model, options) =>
        // The overloads know files and bytes only one at a time.
        this.#queue.run(async () => this.#queued(await InferenceSession.create(model as Uint8Array, options))),
      tensor: (type, data, dims) => new Tensor(type as 'float32', data as Float32Array, dims),
    }
  }

  /** @throws FewbitError ENGINE_STARTED if the build runs with other settings. */
  require(settings: LibrarySettings): void {
    const names = ['threads', 'assets'] as const
    const other = names.find((name) => this.#settings[name] !== settings[name])
    if (other === undefined) return
    const [now, wanted] = [this.#settings[other], settings[other]]
    throw problem(
      'ENGINE_STARTED',
      `ONNX Runtime Web runs with ${other} ${now ?? 'by default'} in this process, and cannot change to ${wanted ?? 'the default'}`,
      { at: { option: other }, fix: 'give every engine of one process or page the same settings' },
    )
  }

  #queued(session: OrtInferenceSession): OrtInferenceSession {
    const { inputMetadata, outputMetadata } = session
    return {
      inputMetadata,
      outputMetadata,
      run: (feeds, wanted) => this.#queue.run(() => session.run(feeds, wanted)),
      endProfiling: () => session.endProfiling(),
      release: () => this.#queue.run(() => session.release()),
    }
  }
}
