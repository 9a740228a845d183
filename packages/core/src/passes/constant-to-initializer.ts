import { type Attribute, type Graph, type Node, nestedGraphs, Tensor } from '../ir/index.ts'
import { nodeLabel } from '../ops/infer.ts'
import { must } from '../util/index.ts'
import type { Pass } from './pass.ts'
import { becomeInitializer } from './surgery.ts'

/**
 * Turns Constant nodes into initializers, so that every other rule has one kind of constant to look for. Function bodies
 * keep theirs, since they have no initializers; so does a Constant that is a graph output itself.
 */
export const constantToInitializer: Pass = {
  name: 'constant-to-initializer',
  summary: 'turn Constant nodes into initializers',
  run(model, cx) {
    let modified = false
    for (const graph of nestedGraphs(model.graph)) {
      for (const node of graph.nodes) {
        if (node.qualifiedType !== 'Constant') continue
        const reason = convert(graph, node)
        const event = { pass: constantToInitializer.name, node: nodeLabel(node) }
        if (reason) cx.trace({ ...event, kind: 'declined', text: reason })
        else cx.trace({ ...event, kind: 'fired', text: 'now an initializer' })
        modified ||= reason === undefined
      }
    }
    return { modified }
  },
}

/** Returns why not, if not. */
function convert(graph: Graph, node: Node): string | undefined {
  const value = must(node.outputs[0], 'output of Constant')
  const [attribute] = node.attributes.values()
  const tensor = attribute && constantTensor(attribute)
  if (!tensor) return 'the value is sparse'
  if (graph.isOutput(value)) return `"${value.name}" is a graph output`
  becomeInitializer(value, tensor)
  graph.remove(node)
  return undefined
}

function constantTensor(a: Attribute): Tensor | undefined {
  switch (a.kind) {
    case 'tensor':
      return a.value
    case 'float':
      return Tensor.float32([], [a.value])
    case 'floats':
      return Tensor.float32([a.value.length], a.value)
    case 'int':
      return Tensor.int64([], [a.value])
    case 'ints':
      return Tensor.int64([a.value.length], a.value)
    case 'string':
      return Tensor.strings([], [a.value])
    case 'strings':
      return Tensor.strings([a.value.length], a.value)
    default:
      return undefined
  }
}
