import { dependencies, type Graph, type Model, type Node, type Tensor, type Value } from '../ir/index.ts'
import { type LearnedRole, learnedRole, type OpRegistry } from '../ops/index.ts'
import { problem } from '../util/index.ts'
import { constantSources, embeddedSources } from './parameter-sources.ts'
import type { Parameter } from './trainable.ts'

/**
 * The constants that training changes, in the order of their first readers: those of layers, also where Reshape, Concat and their like stand
 * between, as exporters write the weights of recurrent layers; vectors of elementwise operators, where the other operand depends on a
 * parameter: what stands before the first layer is preprocessing; and learned embeddings, which are added or concatenated to what depends
 * on a parameter and lead to a further layer. Branches are looked into; constants of their own stay.
 * @throws FewbitError TRAIN_DTYPE for weights in another type than float32.
 */
export function learnedParameters(model: Model, ops: OpRegistry): Parameter[] {
  const found = new Search(model.graph, ops).found()
  for (const value of found.keys()) checkType(value)
  return [...found].map(([{ name }, kind]) => ({ name, kind }))
}

interface Candidate {
  readonly kind: LearnedRole
  /** A parameter only where a layer depends on what this node makes. */
  readonly embeddedAt?: Node
}

class Search {
  readonly #graph: Graph
  readonly #ops: OpRegistry
  readonly #found = new Map<Value, Candidate>()
  /** Values that depend on a parameter. */
  readonly #behind = new Set<Value>()
  readonly #visited: Node[] = []
  readonly #layers = new Set<Node>()

  constructor(graph: Graph, ops: OpRegistry) {
    this.#graph = graph
    this.#ops = ops
    this.#visit(graph)
  }

  #visit(graph: Graph): void {
    for (const node of graph.nodes) {
      for (const inner of node.subgraphs()) this.#visit(inner)
      this.#visited.push(node)
      this.#through(node)
    }
  }

  found(): Map<Value, LearnedRole> {
    const leading = this.#leading()
    const kept = [...this.#found].filter(([value, { embeddedAt }]) => {
      return this.#graph.initializers.has(value) && (!embeddedAt || isRead(embeddedAt, leading))
    })
    return new Map(kept.map(([value, { kind }]) => [value, kind]))
  }

  #through(node: Node): void {
    const inputs = [...dependencies(node)]
    const isBehind = [...inputs, ...resultsOf(node)].some((value) => this.#behind.has(value))
    for (const [i, value] of node.inputs.entries()) if (value) this.#input(node, i, value, isBehind)
    if (!isBehind && !inputs.some((value) => this.#found.has(value))) return
    for (const y of node.outputs) if (y) this.#behind.add(y)
  }

  #input(node: Node, i: number, value: Value, isBehind: boolean): void {
    const def = this.#ops.of(node)
    const role = def ? learnedRole(def, i) : null
    const isSummand = def?.quant.traits?.includes('elementwise') ?? false
    if (role && !isSummand) {
      const sources = value.constant ? [value] : constantSources(value)
      for (const source of sources.filter(isNoShapeData)) this.#add(source, { kind: role })
      if (role === 'weight' && sources.length > 0) this.#layers.add(node)
    } else if (role && isBehind && value.constant && isVector(value.constant)) this.#add(value, { kind: role })
    else if (isBehind)
      for (const source of embeddedSources(node, value)) this.#add(source, { kind: 'bias', embeddedAt: node })
  }

  #add(value: Value, candidate: Candidate): void {
    const known = this.#found.get(value)
    if (!known || (known.embeddedAt && !candidate.embeddedAt)) this.#found.set(value, candidate)
  }

  /** Values that a layer depends on. */
  #leading(): ReadonlySet<Value> {
    const leading = new Set<Value>()
    for (const node of this.#visited.toReversed()) {
      if (!this.#layers.has(node) && !isRead(node, leading)) continue
      for (const x of [...dependencies(node), ...resultsOf(node)]) leading.add(x)
    }
    return leading
  }
}

/** What branches and bodies of a node hand over to its outputs. */
const resultsOf = (node: Node): Value[] => node.subgraphs().flatMap((graph) => graph.outputs)

const isRead = (node: Node, by: ReadonlySet<Value>): boolean => node.outputs.some((y) => y && by.has(y))

const isVector = ({ size, dims }: Tensor): boolean => size > 1 && size === Math.max(...dims)

/** Tables that shape arithmetic reads are no weights. */
const isNoShapeData = ({ constant }: Value): boolean => !['int64', 'int32', 'bool'].includes(constant?.dtype ?? 'bool')

function checkType(value: Value): void {
  const dtype = value.constant?.dtype
  if (dtype === 'float32') return
  throw problem('TRAIN_DTYPE', `"${value.name}" is ${dtype}; only float32 networks are trained`, {
    at: { value: value.name },
    fix: 'convert the network to float32 first',
  })
}
