import { type Graph, makersOf, type Node, reach, readersOf } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import { overrideText } from './overrides.ts'
import type { Override } from './plan.ts'

/**
 * The nodes that an override's `from` and `to` enclose: behind the one and before the other, both included. Undefined where the
 * override names neither.
 * @throws FewbitError OVERRIDE_SPAN for a name that no node has, or ends that no way connects.
 */
export function spanOf(override: Override, graph: Graph): ReadonlySet<Node> | undefined {
  const { from, to } = override.match
  if (from === undefined && to === undefined) return undefined
  const behind = from === undefined ? undefined : reach([named(from, override, graph)], readersOf)
  const before = to === undefined ? undefined : reach([named(to, override, graph)], makersOf)
  const span = behind && before ? new Set([...behind].filter((node) => before.has(node))) : (behind ?? before)
  if (span && span.size > 0) return span
  throw spanProblem(override, `no way leads from "${from}" to "${to}"`)
}

function named(name: string, override: Override, graph: Graph): Node {
  const node = [...graph.nodes].find((n) => n.name === name)
  if (!node) throw spanProblem(override, `no node is called "${name}"`)
  return node
}

const spanProblem = (override: Override, why: string) =>
  problem('OVERRIDE_SPAN', `the override ${overrideText(override)} encloses nothing: ${why}`, {
    at: { option: 'override' },
    fix: 'fewbit inspect lists the names of nodes; `from` stands before `to` in the direction of data',
  })
