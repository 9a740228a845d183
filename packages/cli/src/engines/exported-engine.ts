import {
  type Engine,
  type Feeds,
  type ModelSource,
  type Session,
  type SessionValue,
  sessionValue,
} from '@fewbit/core/engine'
import { type Model, readModel, Tensor } from '@fewbit/core/ir'
import { fakeQuantize, type QuantParams } from '@fewbit/core/quant'
import { problem } from '@fewbit/core/util'
import { type ExportedForm, exportNetwork } from './exported-network.ts'

/**
 * An engine that reads files of its own: networks are exported, quantized ones by what their quantizers say, when it is known with which sizes
 * they run.
 * @param host loads what `exportNetwork` writes.
 */
export function exportedEngine(host: Engine, form: ExportedForm): Engine {
  return {
    ...host,
    load: async (source) => new ExportedSession(modelOf(source, form), host, form),
  }
}

function modelOf(source: ModelSource, { title }: ExportedForm): Model {
  if (source instanceof Uint8Array) return readModel(source)
  if (!('path' in source)) return source
  throw problem('ENGINE_LOAD', `networks are exported for ${title} from a graph: hand over the model`, {
    at: { file: source.path },
  })
}

/** A session of the host for networks of one size. */
interface Opened {
  readonly sizes: string
  readonly session: Session
  readonly quantizers: ReadonlyMap<string, QuantParams>
  readonly passed: ReadonlyMap<string, string>
}

class ExportedSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #model: Model
  readonly #host: Engine
  readonly #form: ExportedForm
  #opened: Opened | undefined

  constructor(model: Model, host: Engine, form: ExportedForm) {
    this.inputs = model.graph.inputs.filter((value) => !value.constant).map(sessionValue)
    this.outputs = model.graph.outputs.map(sessionValue)
    this.#model = model
    this.#host = host
    this.#form = form
  }

  async run(feeds: Feeds, wanted?: readonly string[]): Promise<Feeds> {
    const { session, quantizers, passed } = await this.#ready(feeds)
    const isWanted = (name: string): boolean => wanted?.includes(name) ?? true
    const given = [...passed].flatMap(([output, input]): [string, Tensor][] => {
      const tensor = feeds[input]
      return tensor && isWanted(output) ? [[output, tensor]] : []
    })
    const outputs = [...Object.entries(await session.run(feeds, wanted)), ...given]
    return Object.fromEntries(outputs.map(([name, tensor]) => [name, onGrid(tensor, quantizers.get(name))]))
  }

  async release(): Promise<void> {
    const { session } = this.#opened ?? {}
    this.#opened = undefined
    await session?.release()
  }

  async #ready(feeds: Feeds): Promise<Opened> {
    const sizes = JSON.stringify(Object.entries(feeds).map(([name, { dims }]) => [name, dims]))
    if (this.#opened?.sizes === sizes) return this.#opened
    await this.release()
    const { message, ...ends } = await exportNetwork(this.#model, feeds, this.#form)
    this.#opened = { sizes, session: await this.#host.load(message), ...ends }
    return this.#opened
  }
}

/** Engines that quantize what a layer reads give a tensor as it was before; who looks behind its quantizer sees its grid. */
const onGrid = (tensor: Tensor, params: QuantParams | undefined): Tensor =>
  params ? Tensor.float32(tensor.dims, fakeQuantize(tensor.numbers(), params, [...tensor.dims])) : tensor
