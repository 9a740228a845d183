import type { Engine, Feeds, LoadOptions, ModelSource, Session, SessionValue } from '../../engine/index.ts'
import { asTensor, cloneModel, type Model, readModel, type Value } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { inferShapes } from '../../passes/infer-shapes.ts'
import { problem } from '../../util/index.ts'
import { compileIntegers } from './compile.ts'
import { IntegerSession } from './run.ts'
import type { Scheme } from './scheme.ts'

/**
 * The arithmetic of one kind of hardware as an engine. Quantized networks run in whole numbers, what has no integer kernel and networks without
 * quantizers on the given engine in float.
 */
export function integerEngine(scheme: Scheme, float: Engine): Engine {
  const { capabilities, version } = float
  return {
    name: `integer-${scheme.name}`,
    version,
    capabilities: { ...capabilities, providers: ['integer'], threads: 1 },
    load: (model, options = {}) => load(scheme, float, model, options),
  }
}

async function load(scheme: Scheme, float: Engine, source: ModelSource, options: LoadOptions): Promise<Session> {
  if ('path' in source) throw noPath(source.path)
  const model = source instanceof Uint8Array ? readModel(source) : cloneModel(source)
  const quantizes = [...model.graph.nodes].some((node) => node.opType === 'QuantizeLinear')
  if (options.optimization === 'simulate' || !quantizes) return float.load(model, options)
  inferShapes(model, { ops: defaultOps })
  const session = await IntegerSession.open(compileIntegers(model, scheme), { engine: float })
  return new OnIntegers(model, session)
}

class OnIntegers implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #session: IntegerSession

  constructor({ graph }: Model, session: IntegerSession) {
    this.inputs = graph.inputs.filter((value) => !value.constant).map(describe)
    this.outputs = graph.outputs.map(describe)
    this.#session = session
  }

  async run(feeds: Feeds, wanted?: readonly string[]): Promise<Feeds> {
    const { outputs } = await this.#session.run(feeds)
    if (!wanted) return outputs
    return Object.fromEntries(Object.entries(outputs).filter(([name]) => wanted.includes(name)))
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}

function describe(value: Value): SessionValue {
  const type = asTensor(value.type)
  return { name: value.name, dtype: type?.dtype ?? '', shape: (type?.shape ?? []).map((dim) => dim ?? '') }
}

const noPath = (file: string) =>
  problem('ENGINE_LOAD', 'networks in whole numbers are compiled from a graph: hand over the model', { at: { file } })
