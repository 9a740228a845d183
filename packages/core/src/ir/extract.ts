import { problem } from '../util/index.ts'
import { Cloner, copyHeader } from './clone.ts'
import type { Value } from './graph.ts'
import { Graph } from './graph.ts'
import { Model } from './model.ts'
import { dependencies, nodesLeadingTo } from './traverse.ts'

/**
 * The part of a model's main graph that computes `outputs` from `inputs`, as a model of its own: fresh nodes and values
 * under the same names, tensors shared. Values in `inputs` become graph inputs with their current types, whatever computed
 * them before; initializers that the part needs come along.
 * @throws FewbitError EXTRACT_INPUT if the outputs also depend on graph inputs that are not listed.
 */
export function extract(model: Model, inputs: readonly Value[], outputs: readonly Value[]): Model {
  const cut = new Set(inputs)
  const nodes = nodesLeadingTo(model.graph, outputs, cut)
  const made = new Set(nodes.flatMap((node) => node.outputs))
  const read = new Set([...nodes.flatMap((node) => [...dependencies(node)]), ...outputs])
  const outer = [...read].filter((value) => !cut.has(value) && !made.has(value))
  const missing = outer.filter((value) => !model.graph.initializers.has(value))
  if (missing.length > 0) {
    const names = missing.map((value) => `"${value.name}"`).join(', ')
    throw problem('EXTRACT_INPUT', `the part of the graph also needs ${names}`, {
      fix: 'list these values as inputs, or choose other outputs',
    })
  }

  const cloner = new Cloner()
  const part = new Graph(model.graph.name)
  for (const value of cut) part.inputs.push(openInput(cloner, value))
  for (const value of model.graph.initializers) {
    if (outer.includes(value)) part.initializers.add(cloner.define(value))
  }
  for (const node of nodes) part.add(cloner.node(node))
  part.outputs.push(...outputs.map((value) => cloner.read(value)))

  const result = new Model(part)
  copyHeader(model, result)
  for (const def of model.functions) result.functions.push(cloner.function(def))
  return result
}

/** A copy that is fed from outside, so it has no constant even if the original has. */
function openInput(cloner: Cloner, value: Value): Value {
  const copy = cloner.define(value)
  copy.constant = null
  return copy
}
