import { asTensor, dependencies, type Graph, type Node, type Value } from '../../ir/index.ts'

/** Nodes by how many of some layers lie on the longest way to them, themselves included: layers of one level do not see each other. */
export function levelsOf(graph: Graph, layers: ReadonlySet<Node>): Map<Node, number> {
  const levels = new Map<Node, number>()
  for (const node of graph.nodes) {
    const before = [...dependencies(node)].map(({ producer }) => (producer && levels.get(producer)) ?? 0)
    levels.set(node, Math.max(0, ...before) + (layers.has(node) ? 1 : 0))
  }
  return levels
}

/**
 * The last level at which each value is read. A value that cannot leave the engine is computed again where it is read, so that what it is
 * computed from is needed as long.
 */
export function lastReads(graph: Graph, levels: ReadonlyMap<Node, number>): Map<Value, number> {
  const last = new Map<Value, number>()
  for (const node of graph.nodes.reversed()) {
    const again = node.outputs.flatMap((value) => (value && !isTransferable(value) ? (last.get(value) ?? 0) : []))
    const level = Math.max(levels.get(node) ?? 0, ...again)
    for (const value of dependencies(node)) last.set(value, Math.max(level, last.get(value) ?? 0))
  }
  return last
}

/** A tensor of known type, which can leave the engine and come back as an input. */
export const isTransferable = (value: Value): boolean => asTensor(value.type) !== undefined
