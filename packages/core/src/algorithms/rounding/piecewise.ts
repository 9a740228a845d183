import { type Engine, type Feeds, type LoadOptions, unsupportedOutputs } from '../../engine/index.ts'
import { extract, type Graph, type Model, type Node, nodesLeadingTo, tensorType, type Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'

/** A network as it is run. */
export interface RunnableNetwork {
  readonly model: Model
  readonly load: LoadOptions
}

/** Bytes of intermediate values that one network may keep for all its batches. */
const KEPT_BYTES = 2 ** 30

/**
 * Runs a network over the same batches again and again, each time a little further. What later pieces need of the earlier ones is kept, as
 * far as memory allows, so that all pieces together cost one run. Nodes that have run may not change any more; those behind them may.
 */
export class PiecewiseNetwork {
  readonly #engine: Engine
  /** Values that are known of each batch, by name. */
  #known: Feeds[]
  #done = new Set<string>()

  constructor(engine: Engine, feeds: readonly Feeds[]) {
    this.#engine = engine
    this.#known = [...feeds]
  }

  /** The values of these names for each batch, computed from what is known. */
  async *run({ model, load }: RunnableNetwork, names: readonly string[]): AsyncGenerator<Feeds> {
    const piece = this.#piece(model, names)
    // Everything may be known already, and an engine takes no empty graph.
    const session = piece.nodes.length > 0 ? await this.#engine.load(piece.model, load) : undefined
    const kept: Feeds[] = []
    try {
      for (const [i, known] of this.#known.entries()) {
        const inputs = piece.inputs.map((name) => [name, must(known[name], `value "${name}"`)] as const)
        const made = { ...known, ...(await session?.run(Object.fromEntries(inputs))) }
        yield made
        if (i > kept.length || !piece.keep) continue
        const feeds = Object.fromEntries(piece.keep.map((name) => [name, must(made[name], `value "${name}"`)]))
        if (bytesOf(feeds) * this.#known.length <= KEPT_BYTES) kept.push(feeds)
      }
    } finally {
      await session?.release()
    }
    if (kept.length < this.#known.length) return
    this.#known = kept
    for (const node of piece.nodes) this.#done.add(node)
  }

  #piece(model: Model, names: readonly string[]) {
    const { graph } = model
    const known = this.#known[0] ?? {}
    const values = valuesOf(graph)
    const stop = new Set(Object.keys(known).map((name) => must(values.get(name), `value "${name}"`)))
    const wanted = names.map((name) => must(values.get(name), `value "${name}"`)).filter((value) => !stop.has(value))
    const nodes = new Set(nodesLeadingTo(graph, wanted, stop))
    const isOpen = (value: Value) =>
      value.consumers().some((reader) => {
        const node = outermost(reader, graph)
        return !nodes.has(node) && !this.#done.has(node.name)
      })
    const made = [...nodes].flatMap((node) => node.outputs.filter((v) => v !== null))
    const live = [...stop, ...made].filter(isOpen)
    const inputs = [...stop].filter((value) => value.consumers().some((reader) => nodes.has(outermost(reader, graph))))
    const all = extract(model, inputs, [...new Set([...wanted, ...live.filter((v) => !stop.has(v))])])
    const isFetchable = unsupportedOutputs(all).length === 0
    const part = isFetchable ? all : extract(model, inputs, wanted)
    for (const input of part.graph.inputs) input.type ??= tensorType(must(known[input.name], 'feed').dtype)
    return {
      model: part,
      inputs: inputs.map((value) => value.name),
      keep: isFetchable ? live.map((value) => value.name) : undefined,
      nodes: [...nodes].map((node) => node.name),
    }
  }
}

const bytesOf = (feeds: Feeds): number => Object.values(feeds).reduce((n, tensor) => n + tensor.byteLength, 0)

/** Inputs and what nodes of the main graph make. */
function valuesOf(graph: Graph): Map<string, Value> {
  const made = [...graph.nodes].flatMap((node) => node.outputs.filter((value) => value !== null))
  return new Map([...graph.inputs, ...made].map((value) => [value.name, value]))
}

/** The node of the main graph that holds a reader. */
function outermost(reader: Node, graph: Graph): Node {
  let node = reader
  while (node.graph !== graph && node.graph?.owner) node = node.graph.owner
  return node
}
