import type { Graph, Node, Value } from '../../ir/index.ts'
import { activationRegion, type FusePattern, type QuantPlan, type Target } from '../../quant/index.ts'
import { type Finding, nodePlace } from './finding.ts'

/** What one kernel could run together with the node before it, and does not. */
export function missedFusions(graph: Graph, plan: QuantPlan, target: Target): Finding[] {
  const decided = new Map(plan.nodes.map((n) => [n.node, n]))
  const absorbed = (node: Node): boolean => decided.get(node.name)?.decision === 'fused'
  const seen = new Set<Node>()
  return [...graph.nodes].flatMap((node) => {
    if (decided.get(node.name)?.decision !== 'integer') return []
    const patterns = target.fuse.filter((pattern) => pattern.hosts.includes(node.qualifiedType))
    return patterns.flatMap((pattern) => {
      const missed = firstMissed(node, pattern, absorbed)
      if (!missed || seen.has(missed.next)) return []
      seen.add(missed.next)
      const why = missed.why ?? decided.get(missed.next.name)?.reason.text ?? 'another kernel takes it'
      const detail = `behind ${node.name}`
      const message = `${target.title} would run ${missed.name} in the kernel before it, but ${why}`
      return [
        {
          code: 'LINT_NOT_FUSED',
          level: 'warning' as const,
          message,
          places: [nodePlace(missed.next.name, detail)],
          fix: FIX,
        },
      ]
    })
  })
}

const FIX = 'let the node before be read by this one alone, and quantize both'

interface Missed {
  readonly name: string
  readonly next: Node
  /** Set if the graph's shape is in the way. */
  readonly why?: string
}

/** The first link of a chain that stands in the graph and is not part of the group. */
function firstMissed(host: Node, { chain }: FusePattern, absorbed: (node: Node) => boolean): Missed | undefined {
  let value: Value | null | undefined = host.outputs[0]
  for (const name of chain) {
    if (!value) return undefined
    const region = activationRegion(name, value)
    const next: Node | undefined = region?.nodes[0] ?? value.consumers().find((node) => node.qualifiedType === name)
    // An Add has two branches, of which one takes it.
    if (!next || (name === 'Add' && !absorbed(next))) return undefined
    if (!absorbed(next)) return { name, next, ...shapeProblem(value, region !== undefined) }
    value = region?.exit ?? next.outputs[0]
  }
  return undefined
}

function shapeProblem(value: Value, isRegion: boolean): { why?: string } {
  if (value.producer?.graph?.isOutput(value)) return { why: 'what it reads is an output of the network as well' }
  const readers = value.consumers().length
  return !isRegion && readers > 1 ? { why: `what it reads is read by ${readers} nodes` } : {}
}
