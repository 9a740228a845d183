// First: it must run before the library is loaded.
import './no-telemetry.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Engine,
  type Feeds,
  isInternalOnly,
  type LoadOptions,
  type ModelSource,
  type Session,
  type SessionValue,
} from '@fewbit/core/engine'
import { type Model, modelBytes, serializeModel, type Tensor } from '@fewbit/core/ir'
import { MAX_MODEL_BYTES } from '@fewbit/core/onnx'
import { type DType, problem } from '@fewbit/core/util'
import { env, InferenceSession, listSupportedBackends } from 'onnxruntime-node'
import { saveModel } from './model-file.ts'
import { sessionOptions } from './ort-options.ts'
import { fromOrt, toOrt } from './ort-tensor.ts'

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
  }
}

async function load(model: ModelSource, options: LoadOptions): Promise<Session> {
  const session = 'graph' in model ? await loadGraph(model, options) : await create(model, options)
  const refused = session.outputMetadata.filter((m) => m.isTensor && isInternalOnly(m.type as DType))
  if (refused.length > 0) {
    await session.release()
    throw unsupported(refused.map((m) => `"${m.name}"`).join(', '))
  }
  return new NodeSession(session, options.profile !== undefined)
}

/** Graphs too large for one message reach ONNX Runtime through a temporary file with external data. */
async function loadGraph(model: Model, options: LoadOptions): Promise<InferenceSession> {
  if (modelBytes(model) <= MAX_MODEL_BYTES) return create(serializeModel(model), options)
  const folder = await mkdtemp(join(tmpdir(), 'fewbit-'))
  try {
    const path = join(folder, 'model.onnx')
    await saveModel(model, path)
    return await create({ path }, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function create(model: Uint8Array | { readonly path: string }, options: LoadOptions): Promise<InferenceSession> {
  const config = sessionOptions(options)
  const at = model instanceof Uint8Array ? {} : { at: { file: model.path } }
  try {
    if (model instanceof Uint8Array) return await InferenceSession.create(model, config)
    return await InferenceSession.create(model.path, config)
  } catch (error) {
    const message = (error as Error).message
    // The interface has no name for 2-bit, float8 and bfloat16 tensors and gives up on their number.
    if (message.startsWith('Unsupported data type')) throw unsupported('of the graph', error)
    throw problem('ENGINE_LOAD', `ONNX Runtime cannot load the model: ${message}`, at, error)
  }
}

function unsupported(what: string, cause?: unknown): Error {
  return problem(
    'ENGINE_UNSUPPORTED',
    `an input or output ${what} has an element type that ONNX Runtime cannot hand to JavaScript`,
    { fix: 'keep sub-byte, float8, bfloat16 and complex tensors inside the graph: dequantize or cast them first' },
    cause,
  )
}

class NodeSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #session: InferenceSession
  readonly #profiling: boolean
  #released = false

  constructor(session: InferenceSession, profiling: boolean) {
    this.#session = session
    this.#profiling = profiling
    this.inputs = session.inputMetadata.map(sessionValue)
    this.outputs = session.outputMetadata.map(sessionValue)
  }

  async run(feeds: Feeds, wanted?: readonly string[]): Promise<Feeds> {
    try {
      const ortFeeds = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
      const results = await (wanted ? this.#session.run(ortFeeds, wanted) : this.#session.run(ortFeeds))
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]))
    } catch (error) {
      throw this.#runProblem(feeds, error)
    }
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    if (this.#profiling) this.#session.endProfiling()
    await this.#session.release()
  }

  #runProblem(feeds: Feeds, error: unknown): Error {
    const expected = this.inputs.map((v) => `${v.name} ${v.dtype}[${v.shape.join(',')}]`)
    const given = Object.entries(feeds).map(([name, t]) => `${name} ${describe(t)}`)
    return problem(
      'ENGINE_RUN',
      `ONNX Runtime cannot run the model: ${(error as Error).message}`,
      {
        notes: [
          `the model takes ${expected.join(', ') || 'no input'}`,
          `it was given ${given.join(', ') || 'nothing'}`,
        ],
      },
      error,
    )
  }
}

const describe = (tensor: Tensor): string => `${tensor.dtype}[${tensor.dims.join(',')}]`

function sessionValue(meta: InferenceSession.ValueMetadata): SessionValue {
  if (!meta.isTensor) return { name: meta.name, dtype: 'not a tensor', shape: [] }
  return { name: meta.name, dtype: meta.type, shape: [...meta.shape] }
}
