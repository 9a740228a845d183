import { Cloner } from './clone.ts'
import type { Graph, Value } from './graph.ts'
import type { Model } from './model.ts'
import { UniqueNames } from './names.ts'
import { withoutSymbols } from './types.ts'

/**
 * Adds another model's nodes and initializers to a graph, under fresh names that begin with `prefix`.
 * @param known values of the other model → values of the graph that stand for them; what makes these is not copied.
 * @returns where the other model's values went.
 */
export function graft(graph: Graph, other: Model, prefix: string, known: ReadonlyMap<Value, Value>): Cloner {
  const cloner = new Cloner()
  for (const [value, shared] of known) cloner.values.set(value, shared)
  const names = new UniqueNames(graph)
  const rename = (value: Value): void => {
    value.name = names.value(`${prefix}/${value.name}`)
  }
  for (const value of other.graph.initializers) {
    if (known.has(value)) continue
    const copy = cloner.define(value)
    rename(copy)
    graph.initializers.add(copy)
  }
  for (const node of other.graph.nodes) {
    if (node.outputs.every((value) => !value || known.has(value))) continue
    const copy = cloner.node(node)
    copy.name = names.node(`${prefix}/${node.name}`)
    for (const output of copy.outputs) if (output) rename(output)
    graph.add(copy)
  }
  forgetSymbols(other, cloner)
  return cloner
}

/** What was an output in its model, and is none where it is copied to, loses the sizes that the file claims by name only. */
export function forgetSymbols(model: Model, copies: Cloner): void {
  for (const output of model.graph.outputs) {
    const copy = copies.read(output)
    if (!copy.producer) continue
    copy.type = withoutSymbols(copy.type)
  }
}
