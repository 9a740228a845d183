import {
  type Engine,
  type Feeds,
  type LoadOptions,
  type ModelSource,
  type Session,
  type SessionValue,
  sessionValue,
} from '../../engine/index.ts'
import { type Graph, type Model, type Node, readModel } from '../../ir/index.ts'
import { problem } from '../../util/index.ts'
import { compileIntegers } from './compile.ts'
import { IntegerSession } from './run.ts'
import type { Scheme } from './scheme.ts'

/**
 * The arithmetic of one kind of hardware as an engine. Quantized networks run in whole numbers, what has no integer kernel and networks without
 * quantizers on the given engine in float. Files with integer operators are refused (ENGINE_LOAD).
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
  // Kernels in integers are an optimization of what the file says.
  if ((options.optimization ?? 'all') !== 'all') return float.load(source, options)
  const model = source instanceof Uint8Array ? modelOf(source) : source
  const fused = [...model.graph.nodes].find(isIntegerOperator)
  if (fused) throw inIntegerForm(fused)
  const network = compileIntegers(model, scheme)
  if (network.steps.every(({ kind }) => kind === 'island')) return float.load(model, options)
  return new OnIntegers(network.graph, await IntegerSession.open(network, { engine: float }))
}

function modelOf(bytes: Uint8Array): Model {
  try {
    return readModel(bytes)
  } catch (error) {
    throw problem('ENGINE_LOAD', 'these bytes are no model', {}, error)
  }
}

/** They would run on the engine for floats, in its arithmetic and not in this one. */
const isIntegerOperator = ({ opType }: Node): boolean => /^(?:QLinear|QGemm|ConvInteger|MatMulInteger)/.test(opType)

const inIntegerForm = ({ name, qualifiedType }: Node) =>
  problem('ENGINE_LOAD', `${qualifiedType} has an arithmetic of its own`, {
    at: { node: name },
    fix: 'hand over the form of the network with QuantizeLinear and DequantizeLinear',
  })

class OnIntegers implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #session: IntegerSession

  constructor(graph: Graph, session: IntegerSession) {
    this.inputs = graph.inputs.filter((value) => !value.constant).map(sessionValue)
    this.outputs = graph.outputs.map(sessionValue)
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

const noPath = (file: string) =>
  problem('ENGINE_LOAD', 'networks in whole numbers are compiled from a graph: hand over the model', { at: { file } })
