import { dependencies, type Graph, type Node, type Value } from '../../ir/index.ts'

/** Values that depend on what is fed. Everything else is known before any data is. */
export function fedValues(graph: Graph): ReadonlySet<Value> {
  const fed = new Set(graph.inputs.filter((value) => !value.constant))
  for (const node of graph.nodes) {
    if ([...dependencies(node)].some((value) => fed.has(value))) for (const y of node.outputs) if (y) fed.add(y)
  }
  return fed
}

/**
 * The nodes of a graph in stretches between values through which everything passes: a stretch has one way in and one way out. Without
 * branches each node is one; a residual connection makes one of all that it bypasses.
 */
export function stretchesOf(graph: Graph): Node[][] {
  const fed = fedValues(graph)
  const nodes = [...graph.nodes].filter((node) => node.outputs.some((y) => y && fed.has(y)))
  const last = new Map<Value, number>()
  for (const [i, node] of nodes.entries()) for (const x of dependencies(node)) if (fed.has(x)) last.set(x, i)
  const live = new Set(graph.inputs.filter((x) => last.has(x)))
  const stretches: Node[][] = []
  let open: Node[] = []
  for (const [i, node] of nodes.entries()) {
    open.push(node)
    for (const y of node.outputs) if (y && last.has(y)) live.add(y)
    for (const x of dependencies(node)) if (last.get(x) === i) live.delete(x)
    if (live.size !== 1) continue
    stretches.push(open)
    open = []
  }
  return open.length > 0 ? [...stretches, open] : stretches
}
