import type { Attribute } from './attribute.ts'
import { Graph, type Node, type Opaque, type Value } from './graph.ts'

/** A model-local function: an operator defined by a graph of other operators. */
export interface FunctionDef {
  readonly domain: string
  readonly name: string
  readonly overload: string
  readonly graph: Graph
  readonly attributes: readonly string[]
  readonly attributeDefaults: ReadonlyMap<string, Attribute>
  readonly opsets: ReadonlyMap<string, number>
  opaque: Opaque
}

/** A whole ONNX model. `opsets` maps domain ('' is ai.onnx) to version. */
export class Model {
  graph: Graph
  irVersion = 10
  readonly opsets = new Map<string, number>()
  readonly functions: FunctionDef[] = []
  readonly metadata = new Map<string, string>()
  producerName = ''
  producerVersion = ''
  domain = ''
  modelVersion = 0n
  docString = ''
  opaque: Opaque = undefined

  constructor(graph: Graph = new Graph()) {
    this.graph = graph
  }

  opset(domain = ''): number {
    return this.opsets.get(domain) ?? 0
  }
}

/** Main graph first, then nested graphs depth first, then function bodies with theirs. */
export function* allGraphs(model: Model): IterableIterator<Graph> {
  yield* nestedGraphs(model.graph)
  for (const f of model.functions) yield* nestedGraphs(f.graph)
}

export function* nestedGraphs(graph: Graph): IterableIterator<Graph> {
  yield graph
  for (const node of graph.nodes) for (const sub of node.subgraphs()) yield* nestedGraphs(sub)
}

/** Every value of one graph, nested graphs excluded: inputs, initializers, then node outputs in order. */
export function* graphValues(graph: Graph): IterableIterator<Value> {
  yield* graph.inputs
  for (const value of graph.initializers) if (!graph.isInput(value)) yield value
  for (const node of graph.nodes) for (const output of node.outputs) if (output) yield output
}

/** True if `graph` is `ancestor` or nested in it. */
export function isInside(graph: Graph | null, ancestor: Graph): boolean {
  for (let g = graph; g; g = (g.owner as Node | null)?.graph ?? null) if (g === ancestor) return true
  return false
}
