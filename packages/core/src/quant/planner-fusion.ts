import type { Node, Value } from '../ir/index.ts'
import { activationRegion } from './fusion-shapes.ts'
import { type Bounds, isConstant, outputBounds } from './planner-bounds.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import type { FusePattern } from './target.ts'

/** What a kernel takes over from the nodes behind it. */
export interface Fused {
  readonly pattern: FusePattern
  /** In the order of data flow. */
  readonly nodes: readonly Node[]
  /** What leaves the group. */
  readonly output: Value
  readonly bounds: Bounds
  /** Operands of absorbed nodes that come from outside: the other branch of an Add. */
  readonly side: readonly { readonly node: Node; readonly value: Value }[]
}

type Link = Pick<Fused, 'nodes' | 'output' | 'side'>

/**
 * Finds for each candidate the longest of the target's patterns that stands behind it. Quantizers then go behind the group, not
 * inside. A node has one host: of two branches that meet in an Add the one that is computed last takes it, so that the
 * other's result exists by then; and what sums products takes before what could host a part of its chain.
 */
export function fuseAll(candidates: readonly Candidate[], cx: PlanContext): Map<Node, Fused> {
  const fused = new Map<Node, Fused>()
  const taken = new Set<Node>()
  const last = [...candidates].reverse()
  for (const c of [...last.filter(sumsProducts), ...last.filter((c) => !sumsProducts(c))]) {
    const found = taken.has(c.node) ? undefined : fuse(c, cx, taken)
    if (!found) continue
    fused.set(c.node, found)
    for (const node of found.nodes) taken.add(node)
  }
  return fused
}

const sumsProducts = (c: Candidate): boolean => c.kind === 'accumulate'

function fuse(c: Candidate, cx: PlanContext, taken: ReadonlySet<Node>): Fused | undefined {
  if (c.kind === 'pass' || c.kind === 'weights') return undefined
  const patterns = cx.target.fuse.filter(({ hosts }) => hosts.includes(c.node.qualifiedType))
  for (const pattern of [...patterns].sort((a, b) => b.chain.length - a.chain.length)) {
    const found = matchChain(c, pattern, cx)
    if (found && !found.nodes.some((node) => taken.has(node))) return found
  }
  return undefined
}

function matchChain(c: Candidate, pattern: FusePattern, cx: PlanContext): Fused | undefined {
  let output = c.node.outputs[0]
  const nodes: Node[] = []
  const side: Fused['side'][number][] = []
  for (const name of pattern.chain) {
    const link = output ? matchLink(name, output, pattern, cx) : undefined
    if (!link) return undefined
    nodes.push(...link.nodes)
    side.push(...link.side)
    output = link.output
  }
  const last = nodes.at(-1)
  if (!output || !last || nodes.some((node) => node.graph !== c.node.graph || cx.settings.of(node).float))
    return undefined
  const bounds = boundsOf(last, cx)
  const absorbed = bounds && (pattern.clips !== 'codes' || endsAtZero(bounds, c))
  return absorbed ? { pattern, nodes, output, bounds, side } : undefined
}

function matchLink(name: string, entry: Value, pattern: FusePattern, cx: PlanContext): Link | undefined {
  const join = joinBehind(name, entry, pattern, cx)
  if (join) return join
  const region = activationRegion(name, entry)
  return region && { nodes: region.nodes, output: region.exit, side: [] }
}

/** An operator of several data operands whose other operand is computed elsewhere: the Add of a residual connection. */
function joinBehind(name: string, entry: Value, pattern: FusePattern, { ops }: PlanContext): Link | undefined {
  const [node, ...more] = entry.consumers()
  if (!node || more.length > 0 || node.qualifiedType !== name || node.graph?.isOutput(entry)) return undefined
  const roles = ops.of(node)?.quant.roles ?? []
  const operands = node.inputs.filter((_, i) => roles[i] === 'activation')
  const others = operands.filter((v) => v !== null && v !== entry)
  const [other] = others
  const [output] = node.outputs
  if (operands.length !== 2 || others.length !== 1 || !other || !output || isConstant(other)) return undefined
  const first = operands[0]
  if (pattern.branch === 'first-operand' && first !== entry && first && isHost(first, pattern)) return undefined
  return { nodes: [node], output, side: [{ node, value: other }] }
}

/** True if a host of the pattern makes the value for one reader only. */
const isHost = (value: Value, { hosts }: FusePattern): boolean =>
  value.consumers().length === 1 && hosts.includes(value.producer?.qualifiedType ?? '')

/** Bounds of what an activation hands over; undefined where they are computed while the model runs. */
function boundsOf(last: Node, { ops }: PlanContext): Bounds | undefined {
  const def = ops.of(last)
  return def?.quant.traits?.includes('fusable-activation') ? outputBounds(last, def) : {}
}

/**
 * Codes can end where an activation clips at zero or not at all below, because zero must stay a code. Codes symmetric around zero
 * reach as far down as up, so that nothing clips there.
 */
function endsAtZero(bounds: Bounds, { settings }: Candidate): boolean {
  const rule = settings.rules.activations
  const isCentred = rule?.symmetric === true && rule.signed
  return bounds.lo === undefined || (bounds.lo === 0 && !isCentred)
}
