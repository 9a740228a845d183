import type { Model, Tensor, Value } from '../ir/index.ts'
import { must, problem } from '../util/index.ts'
import type { Engine, Feeds, LoadOptions, Session, SessionValue } from './engine.ts'
import { sessionValue } from './inputs.ts'
import type { Call, Stage } from './stages.ts'

interface LoadedStage {
  readonly session: Session | undefined
  readonly calls: readonly Call[]
}

/** A model in parts, with JavaScript functions between them, as one session. */
export class StagedSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #model: Model
  readonly #stages: readonly LoadedStage[]

  private constructor(model: Model, stages: readonly LoadedStage[]) {
    this.#model = model
    this.#stages = stages
    this.inputs = model.graph.inputs.map(sessionValue)
    this.outputs = model.graph.outputs.map(sessionValue)
  }

  /** @throws FewbitError of the engine; parts that were loaded before are released. */
  static async load(
    engine: Engine,
    model: Model,
    stages: readonly Stage[],
    options?: LoadOptions,
  ): Promise<StagedSession> {
    const loaded: LoadedStage[] = []
    try {
      for (const { part, calls } of stages) loaded.push({ session: part && (await engine.load(part, options)), calls })
    } catch (error) {
      for (const { session } of loaded) await session?.release()
      throw error
    }
    return new StagedSession(model, loaded)
  }

  async run(feeds: Feeds, wanted: readonly string[] = this.outputs.map((o) => o.name)): Promise<Feeds> {
    const known = new Map([...this.#defaults(), ...Object.entries(feeds)])
    for (const { session, calls } of this.#stages) {
      for (const [name, tensor] of Object.entries(session ? await session.run(feedsOf(session, known)) : {}))
        known.set(name, tensor)
      for (const call of calls) await this.#call(call, known)
    }
    return Object.fromEntries(wanted.map((name) => [name, must(known.get(name), `output "${name}"`)]))
  }

  async release(): Promise<void> {
    for (const { session } of this.#stages) await session?.release()
  }

  /** Inputs that the caller may leave out. */
  #defaults(): [string, Tensor][] {
    return this.#model.graph.inputs.flatMap(({ name, constant }) => (constant ? [[name, constant]] : []))
  }

  async #call(call: Call, known: Map<string, Tensor>): Promise<void> {
    const inputs = call.node.inputs.map((value) => (value ? tensorOf(value, known) : undefined))
    const results = await evaluate(call, inputs)
    call.node.outputs.forEach((value, i) => {
      if (!value) return
      const result = results[i]
      if (!result) throw failed(call, `it gives ${results.length} of ${call.node.outputs.length} outputs`)
      known.set(value.name, result)
    })
  }
}

const tensorOf = (value: Value, known: ReadonlyMap<string, Tensor>): Tensor =>
  must(known.get(value.name) ?? value.constant, `value "${value.name}"`)

async function evaluate(call: Call, inputs: readonly (Tensor | undefined)[]): Promise<readonly Tensor[]> {
  const { def, attrs } = call
  try {
    return await must(def.evaluate, 'function')(inputs, attrs)
  } catch (cause) {
    throw failed(call, (cause as Error).message, cause)
  }
}

const failed = ({ node }: Call, why: string, cause?: unknown) =>
  problem(
    'CUSTOM_OP_FAILED',
    `the function of ${node.qualifiedType} failed: ${why}`,
    { at: { node: node.name } },
    cause,
  )

const feedsOf = (session: Session, known: ReadonlyMap<string, Tensor>): Feeds =>
  Object.fromEntries(session.inputs.map(({ name }) => [name, must(known.get(name), `value "${name}"`)]))
