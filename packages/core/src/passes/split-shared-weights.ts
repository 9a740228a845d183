import { type Node, nestedGraphs } from '../ir/index.ts'
import type { InputRole } from '../ops/traits.ts'
import type { Pass } from './pass.ts'
import { freshName, RuleContext } from './rule-context.ts'

/**
 * Gives every reader of a shared weight its own initializer, for algorithms that change one layer's weight and must not
 * touch another's. The bytes are still shared until somebody edits them; the saved file grows. Not in any default list.
 */
export const splitSharedWeights: Pass = {
  name: 'split-shared-weights',
  summary: 'give each reader of a shared weight its own copy',
  run(model, pass) {
    const cx = new RuleContext(model, pass.ops)
    let modified = false
    for (const graph of nestedGraphs(model.graph)) {
      for (const value of [...graph.initializers]) {
        const tensor = cx.constant(value)
        if (!tensor || cx.isOutput(value)) continue
        const uses = value.uses().filter(({ node, index }) => roleOf(cx, node, index) === 'weight')
        const extra = uses.length === value.useCount ? uses.slice(1) : uses
        for (const { node, index } of extra) {
          node.setInput(index, graph.addInitializer(freshName(graph, value.name), tensor))
          modified = true
          const text = `own copy of "${value.name}"`
          pass.trace({ pass: splitSharedWeights.name, kind: 'fired', node: node.name, text })
        }
      }
    }
    return { modified }
  },
}

function roleOf(cx: RuleContext, node: Node, index: number): InputRole {
  const roles = cx.ops.of(node)?.quant.roles ?? []
  return roles[index] ?? roles.at(-1) ?? 'parameter'
}
