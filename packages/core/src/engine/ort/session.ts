import type { Tensor } from '../../ir/index.ts'
import { type DType, problem } from '../../util/index.ts'
import type { Feeds, LoadOptions, Session, SessionValue } from '../engine.ts'
import { isInternalOnly } from '../guard.ts'
import type { OrtBindings, OrtInferenceSession, OrtMetadata } from './bindings.ts'
import { ortSessionOptions } from './session-options.ts'
import { fromOrt, toOrt } from './tensors.ts'

/**
 * A session of ONNX Runtime on a serialized model, or on one that the engine reads itself.
 * @throws FewbitError ENGINE_LOAD; ENGINE_UNSUPPORTED for outputs that JavaScript cannot hold.
 */
export async function loadOrtSession(
  bindings: OrtBindings,
  model: Uint8Array | { readonly path: string },
  options: LoadOptions,
): Promise<Session> {
  const session = await create(bindings, model, options)
  const refused = session.outputMetadata.filter((m) => m.isTensor && isInternalOnly(m.type as DType))
  if (refused.length > 0) {
    await session.release()
    throw unsupported(refused.map((m) => `"${m.name}"`).join(', '))
  }
  return new OrtSession(session, bindings, options.profile !== undefined)
}

async function create(
  { create }: OrtBindings,
  model: Uint8Array | { readonly path: string },
  options: LoadOptions,
): Promise<OrtInferenceSession> {
  const at = model instanceof Uint8Array ? {} : { at: { file: model.path } }
  try {
    return await create(model instanceof Uint8Array ? model : model.path, ortSessionOptions(options))
  } catch (error) {
    // The interface has no name for 2-bit, float8 and bfloat16 tensors and gives up on their number.
    if (/^unsupported data type/i.test(messageOf(error))) throw unsupported('of the graph', error)
    throw problem('ENGINE_LOAD', `ONNX Runtime cannot load the model: ${messageOf(error)}`, at, error)
  }
}

/** WebAssembly throws what C++ does, and that may be no Error. */
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : `it threw ${String(error)}`)

function unsupported(what: string, cause?: unknown): Error {
  return problem(
    'ENGINE_UNSUPPORTED',
    `an input or output ${what} has an element type that ONNX Runtime cannot hand to JavaScript`,
    { fix: 'keep sub-byte, float8, bfloat16 and complex tensors inside the graph: dequantize or cast them first' },
    cause,
  )
}

class OrtSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #session: OrtInferenceSession
  readonly #bindings: OrtBindings
  readonly #profiling: boolean
  #released = false

  constructor(session: OrtInferenceSession, bindings: OrtBindings, profiling: boolean) {
    this.#session = session
    this.#bindings = bindings
    this.#profiling = profiling
    this.inputs = session.inputMetadata.map(sessionValue)
    this.outputs = session.outputMetadata.map(sessionValue)
  }

  async run(feeds: Feeds, wanted: readonly string[] = this.outputs.map(({ name }) => name)): Promise<Feeds> {
    const { tensor: make } = this.#bindings
    try {
      const ortFeeds = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor, make)]))
      const results = await this.#session.run(ortFeeds, wanted)
      return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value)]))
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
      `ONNX Runtime cannot run the model: ${messageOf(error)}`,
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

function sessionValue({ name, isTensor, type, shape }: OrtMetadata): SessionValue {
  if (!isTensor) return { name, dtype: 'not a tensor', shape: [] }
  return { name, dtype: type as string, shape: [...(shape ?? [])] }
}
