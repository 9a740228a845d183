import { type Graph, type Node, nestedGraphs, removeUnusedInitializers } from '../ir/index.ts'
import { nodeLabel } from '../ops/infer.ts'
import { versionIn } from '../ops/registry.ts'
import { parameter, signatureAt } from '../ops/signature.ts'
import type { Pass, PassContext } from './pass.ts'
import { RuleContext } from './rule-context.ts'

/**
 * Removes nodes that nothing reads, initializers that nothing reads, and optional outputs that nothing reads, in every
 * graph. Graph inputs and outputs stay.
 */
export const deadCode: Pass = {
  name: 'dead-code',
  summary: 'remove nodes, optional outputs and initializers that nothing reads',
  run(model, pass) {
    const cx = new RuleContext(model, pass.ops)
    let modified = false
    // Inner graphs last to first, so that what only a dead node inside reads falls in the same run.
    for (const graph of [...cx.graphs].reverse()) modified = sweep(graph, cx, pass) || modified
    for (const value of removeUnusedInitializers(model)) {
      modified = true
      pass.trace({ pass: deadCode.name, kind: 'fired', node: value.name, text: 'removed an unread initializer' })
    }
    return { modified }
  },
}

function sweep(graph: Graph, cx: RuleContext, pass: PassContext): boolean {
  let modified = false
  for (const node of graph.nodes.reversed()) {
    const read = node.outputs.map((o) => o !== null && (o.useCount > 0 || cx.isOutput(o)))
    if (read.includes(true)) {
      modified = dropOptionalOutputs(node, read, cx) || modified
      continue
    }
    removeWithSubgraphs(node)
    modified = true
    pass.trace({ pass: deadCode.name, kind: 'fired', node: nodeLabel(node), text: `removed an unread ${node.opType}` })
  }
  return modified
}

/** Removes a node that nothing reads; nodes of its nested graphs let go of what they read outside. */
export function removeWithSubgraphs(node: Node): void {
  for (const sub of node.subgraphs()) {
    for (const graph of nestedGraphs(sub)) for (const inner of graph.nodes) inner.truncateInputs(0)
  }
  node.graph?.remove(node)
}

/** Before version 14 the outputs that a BatchNormalization has decide whether it trains, so it keeps them. */
function dropOptionalOutputs(node: Node, read: readonly boolean[], cx: RuleContext): boolean {
  const optional = optionalOutputs(node, cx)
  let modified = false
  node.outputs.forEach((output, i) => {
    if (!output || read[i] || !optional[i]) return
    node.setOutput(i, null)
    modified = true
  })
  return modified
}

function optionalOutputs(node: Node, cx: RuleContext): readonly boolean[] {
  const def = cx.ops.of(node)
  const version = def && versionIn(def, cx.model)
  if (!def || version === undefined || node.opType === 'BatchNormalization') return []
  return signatureAt(def, version).outputs.map((text) => parameter(text).optional)
}
