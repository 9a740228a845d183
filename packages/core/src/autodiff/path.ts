import { asTensor, dependencies, type Graph, type Node, type Value } from '../ir/index.ts'
import { isFloat } from '../util/index.ts'

/** Integers, booleans and strings do not change by little steps. An unknown type may be a float. */
export function isContinuous(value: Value): boolean {
  const type = asTensor(value.type)
  return !value.type || (type !== undefined && isFloat(type.dtype))
}

/** Values through which changes of `by` reach `ends`, both included. */
export function valuesBetween(graph: Graph, by: readonly Value[], ends: Iterable<Value>): ReadonlySet<Value> {
  const nodes = [...graph.nodes]
  const moving = new Set(by)
  for (const node of nodes) {
    if ([...dependencies(node)].some((value) => moving.has(value))) for (const y of outputsOf(node)) moving.add(y)
  }
  const felt = new Set([...ends].filter((value) => moving.has(value)))
  for (const node of nodes.toReversed()) {
    if (!outputsOf(node).some((y) => felt.has(y))) continue
    for (const x of dependencies(node)) if (moving.has(x) && isContinuous(x)) felt.add(x)
  }
  return felt
}

const outputsOf = (node: Node): Value[] => node.outputs.filter((y): y is Value => y !== null && isContinuous(y))
