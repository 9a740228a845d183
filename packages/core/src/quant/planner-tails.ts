import { makersOf, type Node, reach, readersOf } from '../ir/index.ts'
import type { Trait } from '../ops/index.ts'
import type { Diagnostics } from '../util/index.ts'
import type { Reason } from './plan.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import type { Selection } from './planner-select.ts'

const SOFTMAX: Reason = {
  code: 'TAIL_PROBABILITIES',
  text: 'it turns final scores into probabilities: nothing behind it gains from integers',
}
const DETECTION: Reason = {
  code: 'TAIL_DETECTION',
  text: 'it decodes or joins final results of unlike ranges, such as boxes and scores, which one scale cannot serve',
}

/**
 * Leaves the ends of the network in float where quantizing them is known to hurt and saves nothing: what stands behind the last
 * products and normalizes scores, or joins, decodes and selects boxes.
 */
export function dropTails(selection: Selection, cx: PlanContext, diagnostics: Diagnostics): void {
  const tail = tailOf(selection, cx)
  const light = [...selection.chosen.values()].filter((c) => tail.has(c.node) && !c.settings.ownScheme)
  const detection = isDetection(tail, cx)
  const probabilities = reach(
    [...tail].filter((node) => has(node, 'normalizing', cx)),
    readersOf,
  )
  const dropped = light.filter((c) => detection || probabilities.has(c.node))
  for (const c of dropped) selection.drop(c.node, detection ? DETECTION : SOFTMAX)
  if (dropped.length > 0) report(dropped, detection ? DETECTION : SOFTMAX, diagnostics)
}

function report(dropped: readonly Candidate[], reason: Reason, diagnostics: Diagnostics): void {
  const names = dropped.map((c) => `${c.node.opType} "${c.node.name}"`)
  diagnostics.info('PLAN_TAIL', `${names.length} operators at the end of the network stay in float`, {
    notes: [reason.text, ...names.slice(0, 10)],
    fix: 'quantize them all the same with tails: quantize, or one with an override that names a scheme',
  })
}

/** Nodes that products lie before, and none behind. What is computed from shapes alone is no result. */
function tailOf(selection: Selection, cx: PlanContext): Set<Node> {
  const products = [...selection.chosen.values()].filter((c) => c.kind === 'accumulate').map((c) => c.node)
  const before = reach(products, makersOf)
  const behind = reach(products, (node) => (has(node, 'shape-source', cx) ? [] : readersOf(node)))
  return new Set([...behind].filter((node) => !before.has(node)))
}

/** Boxes show by a selection, or by a join of results that arithmetic has changed each in its own way. */
function isDetection(tail: ReadonlySet<Node>, cx: PlanContext): boolean {
  const nodes = [...tail]
  if (nodes.some((node) => has(node, 'selecting', cx))) return true
  const isPlain = (node: Node) => has(node, 'fusable-activation', cx) || has(node, 'identity', cx)
  const arithmetic = (node: Node) => has(node, 'elementwise', cx) && !isPlain(node)
  const decoded = reach(
    nodes.filter((node) => arithmetic(node) || has(node, 'normalizing', cx)),
    readersOf,
  )
  return nodes.some((node) => has(node, 'same-scale-inputs', cx) && decoded.has(node))
}

const has = (node: Node, trait: Trait, { ops }: PlanContext): boolean =>
  ops.of(node)?.quant.traits?.includes(trait) ?? false
