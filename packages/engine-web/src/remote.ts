import type { Engine, Feeds, LoadOptions, ModelSource, Session, SessionValue } from '@fewbit/core/engine'
import { serializeModel } from '@fewbit/core/ir'
import { FewbitError, must, problem } from '@fewbit/core/util'
import { decodeMessage, encodeMessage, type Message, packTensors, unpackTensors } from './message.ts'
import type { Answer, Order, Ready } from './protocol.ts'
import { Queue } from './queue.ts'

/** Hands an order over and waits for the answer to it. */
export type Ask = (order: Uint8Array) => Promise<Uint8Array>

/**
 * An engine in another process that obeys orders: a page, or a program in another language.
 * @param ready how it introduced itself.
 */
export function remoteEngine({ name, version, threads }: Ready, provider: string, ask: Ask): Engine {
  const line = new Line(ask)
  return {
    name,
    version,
    // What ONNX Runtime 1.30 accepts; other engines refuse what they do not know.
    capabilities: { maxOpset: 26, maxIrVersion: 13, providers: [provider], threads },
    load: (model, options = {}) => line.load(model, options),
  }
}

/** @throws FewbitError with what the other side complains of. */
export function answerOf(bytes: Uint8Array): Message<Answer> {
  const message = decodeMessage<Answer>(bytes)
  if (message.head.error) throw new FewbitError(message.head.error)
  return message
}

/** One order at a time, because the other side has one queue. */
class Line {
  readonly #ask: Ask
  readonly #queue = new Queue()

  constructor(ask: Ask) {
    this.#ask = ask
  }

  async load(source: ModelSource, options: LoadOptions): Promise<Session> {
    if ('path' in source) throw noPath(source.path)
    const bytes = source instanceof Uint8Array ? source : serializeModel(source)
    const { head } = await this.ask({ kind: 'load', options }, bytes)
    const { session, inputs, outputs } = must(head.loaded, 'answer')
    return new RemoteSession(this, session, inputs, outputs)
  }

  ask(order: Order, body?: Uint8Array): Promise<Message<Answer>> {
    return this.#queue.run(async () => answerOf(await this.#ask(encodeMessage(order, body))))
  }
}

class RemoteSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #line: Line
  readonly #id: number
  #released = false

  constructor(line: Line, id: number, inputs: readonly SessionValue[], outputs: readonly SessionValue[]) {
    this.#line = line
    this.#id = id
    this.inputs = inputs
    this.outputs = outputs
  }

  async run(tensors: Feeds, wanted?: readonly string[]): Promise<Feeds> {
    const { heads: feeds, body } = packTensors(tensors)
    const order: Order = { kind: 'run', session: this.#id, feeds, ...(wanted && { wanted }) }
    const answer = await this.#line.ask(order, body)
    return unpackTensors(must(answer.head.outputs, 'answer'), answer.body)
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    await this.#line.ask({ kind: 'release', session: this.#id })
  }
}

const noPath = (file: string) =>
  problem('ENGINE_LOAD', 'another process is given models, not files: hand over the model', { at: { file } })
