import { type Graph, nestedGraphs, replaceUses, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { tensorKey } from './fingerprint.ts'
import type { Pass } from './pass.ts'
import { RuleContext } from './rule-context.ts'

/**
 * Lets readers of equal initializers of one graph share the first. Run it after rules that edit weights: they leave shared
 * ones alone.
 */
export const deduplicateInitializers: Pass = {
  name: 'deduplicate-initializers',
  summary: 'store equal initializers once',
  run(model, pass) {
    const cx = new RuleContext(model, pass.ops)
    let modified = false
    for (const graph of nestedGraphs(model.graph)) {
      for (const group of equalInitializers(graph, cx)) {
        const first = must(group[0], 'first of its kind')
        for (const value of group.slice(1)) {
          replaceUses(value.uses(), first)
          graph.initializers.delete(value)
          modified = true
          const text = `equals "${first.name}"`
          pass.trace({ pass: deduplicateInitializers.name, kind: 'fired', node: value.name, text })
        }
      }
    }
    return { modified }
  },
}

/** Groups of two and more. Elements are compared only where type, dims and size already agree. */
function equalInitializers(graph: Graph, cx: RuleContext): Value[][] {
  const free = [...graph.initializers].filter((v) => !cx.isOutput(v) && !cx.isInput(v) && !v.quantization)
  const alike = groupBy(free, ({ constant: t }) => (t ? `${t.dtype}[${t.dims.join(',')}]` : ''))
  return alike.flatMap((group) => groupBy(group, (v) => tensorKey(must(v.constant, 'initializer data'))))
}

function groupBy(values: readonly Value[], key: (value: Value) => string): Value[][] {
  const groups = new Map<string, Value[]>()
  for (const value of values) {
    const group = groups.get(key(value))
    if (group) group.push(value)
    else groups.set(key(value), [value])
  }
  return [...groups.values()].filter((group) => group.length > 1)
}
