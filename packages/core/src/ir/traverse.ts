import { problem } from '../util/index.ts'
import type { Graph, Node, Value } from './graph.ts'
import { graphValues, nestedGraphs } from './model.ts'

/** Values that a graph, or a graph nested in it, reads but does not define: the outer values that it captures. */
export function capturedValues(graph: Graph): Set<Value> {
  const graphs = [...nestedGraphs(graph)]
  const defined = new Set(graphs.flatMap((g) => [...graphValues(g)]))
  const captured = new Set<Value>()
  for (const g of graphs) {
    const reads = [...[...g.nodes].flatMap((node) => node.inputs), ...g.outputs]
    for (const value of reads) if (value && !defined.has(value)) captured.add(value)
  }
  return captured
}

/** Everything that a node needs before it can run: its inputs and what its nested graphs capture. */
export function dependencies(node: Node): Set<Value> {
  const values = new Set(node.inputs.filter((input) => input !== null))
  for (const sub of node.subgraphs()) for (const value of capturedValues(sub)) values.add(value)
  return values
}

/** All nodes that steps of `next` lead to, and those that they start from. */
export function reach(start: Iterable<Node>, next: (node: Node) => Iterable<Node>): Set<Node> {
  const reached = new Set(start)
  for (const node of reached) for (const n of next(node)) reached.add(n)
  return reached
}

/** Nodes that read what a node makes. */
export const readersOf = (node: Node): Node[] => node.outputs.flatMap((value) => value?.consumers() ?? [])

/** Nodes that make what a node reads. */
export const makersOf = (node: Node): Node[] => node.inputs.flatMap((value) => value?.producer ?? [])

type TopologicalOrder =
  | { readonly order: readonly Node[]; readonly cycle?: never }
  /** Nodes along a cycle, each reading an output of the next; the last reads an output of the first. */
  | { readonly cycle: readonly Node[]; readonly order?: never }

/** A topological order of a graph's nodes that keeps the given order wherever dependencies allow (depth first). */
function topologicalOrder(graph: Graph): TopologicalOrder {
  const order: Node[] = []
  const state = new Map<Node, 'open' | 'done'>()
  for (const root of graph.nodes) {
    // An explicit stack: chains of a hundred thousand nodes would overflow the call stack.
    const stack = [root]
    for (let node = stack.at(-1); node; node = stack.at(-1)) {
      if (state.get(node) === undefined) {
        state.set(node, 'open')
        const waiting = pendingProducers(node, graph, state)
        const open = waiting.find((p) => state.get(p) === 'open')
        if (open) return { cycle: cycleFrom(open, stack, state) }
        stack.push(...waiting.reverse())
        continue
      }
      stack.pop()
      if (state.get(node) === 'open') order.push(node)
      state.set(node, 'done')
    }
  }
  return { order }
}

function pendingProducers(node: Node, graph: Graph, state: ReadonlyMap<Node, string>): Node[] {
  const producers = [...dependencies(node)].map((value) => value.producer)
  return producers.filter((p): p is Node => p?.graph === graph && state.get(p) !== 'done')
}

/** The open nodes on the stack are exactly the path from the root to the node in hand. */
function cycleFrom(start: Node, stack: readonly Node[], state: ReadonlyMap<Node, string>): Node[] {
  // A node may wait further up the stack too; the deepest entry is the one that was opened.
  const path = [...new Set(stack.filter((node) => state.get(node) === 'open').reverse())].reverse()
  return path.slice(path.indexOf(start))
}

/**
 * Sorts the nodes of one graph in place; nested graphs are left alone.
 * @returns true if the order changed.
 * @throws FewbitError ONNX_CYCLE naming nodes of a cycle.
 */
export function sortTopologically(graph: Graph): boolean {
  const { order, cycle } = topologicalOrder(graph)
  if (cycle) {
    const names = cycle.slice(0, 8).map((node) => `"${node.name}" (${node.opType})`)
    const first = cycle[0]?.name ?? ''
    throw problem('ONNX_CYCLE', `nodes of graph "${graph.name}" depend on each other: ${names.join(', ')}`, {
      at: { node: first },
      fix: 'export the model again; a graph must not contain cycles',
    })
  }
  const current = [...graph.nodes]
  if (order.every((node, i) => node === current[i])) return false
  graph.nodes.reorder(order)
  return true
}

/** The graph that defines a value, found from its producer or upwards from its readers; null for unread loose values. */
export function graphOf(value: Value, hint?: Graph | null): Graph | null {
  if (value.producer) return value.producer.graph
  for (const start of [hint, ...value.consumers().map((node) => node.graph)]) {
    for (let g = start ?? null; g; g = parentGraph(g)) if (g.initializers.has(value) || g.isInput(value)) return g
  }
  return null
}

/** The graph around a nested graph. */
export const parentGraph = (graph: Graph): Graph | null => graph.owner?.graph ?? null

/** The outermost graph around `graph`: a model's main graph or a function body. */
export function rootGraph(graph: Graph): Graph {
  let root = graph
  for (let g = parentGraph(root); g; g = parentGraph(g)) root = g
  return root
}

/** True if `node` may read `value` where it stands: it is in scope, and computed earlier. */
export function isAvailableAt(value: Value, node: Node): boolean {
  const producer = value.producer
  for (let at: Node | null = node; at?.graph; at = at.graph.owner) {
    const graph: Graph = at.graph
    if (!producer && (graph.initializers.has(value) || graph.isInput(value))) return true
    if (producer?.graph === graph) return producer !== at && graph.nodes.isBefore(producer, at)
  }
  return false
}

/**
 * Nodes of `graph` that the given values depend on, in graph order. The search stops at `stop`: producers of those values
 * are not followed.
 */
export function nodesLeadingTo(graph: Graph, values: Iterable<Value>, stop: ReadonlySet<Value> = new Set()): Node[] {
  const needed = new Set<Node>()
  const queue = [...values]
  for (let value = queue.pop(); value; value = queue.pop()) {
    const producer = stop.has(value) ? null : value.producer
    if (!producer || producer.graph !== graph || needed.has(producer)) continue
    needed.add(producer)
    queue.push(...dependencies(producer))
  }
  return [...graph.nodes].filter((node) => needed.has(node))
}
