import { type Graph, type Node, replaceAllUses, type Value } from '../ir/index.ts'
import { nodeLabel } from '../ops/infer.ts'
import { attributesKey } from './fingerprint.ts'
import type { Pass } from './pass.ts'
import { RuleContext } from './rule-context.ts'

/**
 * Merges nodes of one graph that compute the same thing: same operator, attributes and inputs. Quantizers stay apart, since
 * backends fuse each pair with its own consumer; so do nodes with effects, with nested graphs, and graph outputs.
 */
export const commonSubexpressions: Pass = {
  name: 'common-subexpressions',
  summary: 'compute equal expressions once',
  run(model, pass) {
    const cx = new RuleContext(model, pass.ops)
    let modified = false
    for (const graph of cx.graphs) {
      for (const [node, twin] of twins(graph, cx)) {
        const reason = merge(node, twin, cx)
        modified ||= reason === undefined
        const event = { pass: commonSubexpressions.name, node: nodeLabel(node) }
        if (reason) pass.trace({ ...event, kind: 'declined', text: reason })
        else pass.trace({ ...event, kind: 'fired', text: `same as "${nodeLabel(twin)}"` })
      }
    }
    return { modified }
  },
}

/** Lazily, so that merging one pair makes their readers comparable. */
function* twins(graph: Graph, cx: RuleContext): IterableIterator<[Node, Node]> {
  const ids = new Map<Value, number>()
  const seen = new Map<string, Node>()
  for (const node of graph.nodes) {
    const key = nodeKey(node, ids, cx)
    if (key === undefined) continue
    const twin = seen.get(key)
    if (twin) yield [node, twin]
    else seen.set(key, node)
  }
}

function nodeKey(node: Node, ids: Map<Value, number>, cx: RuleContext): string | undefined {
  // What an unknown operator does is unknown; it may have effects.
  if (!cx.ops.of(node) || cx.hasTrait(node, 'impure') || cx.hasTrait(node, 'quantizer')) return undefined
  const attributes = attributesKey(node)
  if (attributes === undefined) return undefined
  const id = (value: Value | null): number => {
    if (!value) return -1
    if (!ids.has(value)) ids.set(value, ids.size)
    return ids.get(value) as number
  }
  const outputs = node.outputs.map((o) => (o ? 1 : 0)).join('')
  return `${node.qualifiedType}(${node.inputs.map(id).join()})${outputs}{${attributes}}`
}

function merge(node: Node, twin: Node, cx: RuleContext): string | undefined {
  const output = node.outputs.find((o) => o && cx.isOutput(o))
  if (output) return `"${output.name}" is a graph output`
  node.outputs.forEach((o, i) => {
    const same = twin.outputs[i]
    if (o && same) replaceAllUses(o, same)
  })
  node.graph?.remove(node)
  return undefined
}
