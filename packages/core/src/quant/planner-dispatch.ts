import type { Node, Value } from '../ir/index.ts'
import type { Reason } from './plan.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import type { Selection } from './planner-select.ts'
import type { Dispatch } from './target.ts'

/**
 * Takes the candidates out that the backend's habit leaves in float. What sums products always stays, and so does a node for
 * which the user chose a scheme. Called again after further nodes were dropped.
 */
export function dispatch(selection: Selection, cx: PlanContext): void {
  DISPATCHERS[cx.dispatch](selection, cx)
  dropUnscaled(selection)
  if (cx.target.points === 'inputs') dropIdleMovers(selection)
}

const DISPATCHERS: Record<Dispatch, (selection: Selection, cx: PlanContext) => void> = {
  neighbours: settle,
  conservative: (selection, cx) => keepReached(selection, downstream(selection, cx, false), BEHIND),
  aggressive: (selection, cx) => keepReached(selection, downstream(selection, cx, true), BEHIND_ANY),
  'conv-to-conv': (selection, cx) => {
    const behind = downstream(selection, cx, false)
    keepReached(selection, behind, BETWEEN)
    keepReached(selection, upstream(selection), BETWEEN)
  },
  listed: () => undefined,
}

const BEHIND: Reason = {
  code: 'NOT_BEHIND_PRODUCT',
  text: 'no operator that sums products stands before it with nothing but quantized operators between',
}
const BEHIND_ANY: Reason = { code: 'NOT_BEHIND_PRODUCT', text: 'no operator that sums products stands before it' }
const BETWEEN: Reason = {
  code: 'NOT_BETWEEN_PRODUCTS',
  text: 'it does not lie between two operators that sum products',
}

/** Lighter nodes, which have to earn their place. */
const open = (selection: Selection): Candidate[] =>
  [...selection.chosen.values()].filter((c) => (c.kind === 'light' || c.kind === 'pass') && !c.settings.ownScheme)

/**
 * The greatest fixed point: everybody starts chosen, and whoever stands without integer neighbours goes, until nobody else
 * does. Starting from all keeps chains such as Conv → Sigmoid → Mul → Conv, whose links vouch for each other; each removal
 * can only take support from others, so that the order does not matter.
 */
function settle(selection: Selection): void {
  dropUntilSettled(selection, open(selection).reverse(), lonely)
}

/** Drops candidates that have a reason to go, again and again, because each that goes may be the reason of another. */
function dropUntilSettled(
  selection: Selection,
  candidates: readonly Candidate[],
  reasonOf: (c: Candidate, selection: Selection) => Reason | undefined,
): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const c of candidates) {
      const reason = selection.chosen.has(c.node) ? reasonOf(c, selection) : undefined
      if (!reason) continue
      selection.drop(c.node, reason)
      changed = true
    }
  }
}

function lonely(c: Candidate, selection: Selection): Reason | undefined {
  if (!hasIntegerReader(c, selection)) return NO_READER
  const fed = c.kind === 'pass' || c.data.some((i) => selection.comesAsCodes(c.node.inputs[i]))
  if (fed) return undefined
  return {
    code: 'NO_INTEGER_SOURCE',
    text: 'none of its inputs comes from an integer kernel, so that quantizing it would only add rounding',
  }
}

/** Where results stay in float, a quantizer before a node that moves elements serves only kernels behind it. */
function dropIdleMovers(selection: Selection): void {
  const movers = [...selection.chosen.values()].filter((c) => c.kind === 'pass' && !c.settings.ownScheme)
  for (const c of movers.reverse()) if (!hasIntegerReader(c, selection)) selection.drop(c.node, NO_READER)
}

/** Each node that goes may have been what made the operand of another one codes. */
function dropUnscaled(selection: Selection): void {
  const candidates = open(selection).filter((c) => c.rule.readBy)
  dropUntilSettled(selection, candidates, unscaled)
}

function unscaled(c: Candidate, selection: Selection): Reason | undefined {
  const isRead = (value: Value): boolean =>
    selection.integerReaders(value).some(({ candidate }) => candidate.kind === 'accumulate')
  const wants = c.rule.readBy === 'product'
  if (selection.outputs(c).some((value) => isRead(value) !== wants)) return wants ? UNREAD : READ
  const isCodes = (value: Value | null | undefined): boolean =>
    value != null && (selection.leavesAsCodes(value) || isRead(value))
  return c.data.every((i) => isCodes(c.node.inputs[i])) ? undefined : REAL_OPERAND
}

const UNREAD: Reason = {
  code: 'NO_SCALE',
  text: 'no operator that sums products reads its result, from which the backend would learn a scale',
}
const READ: Reason = {
  code: 'NOT_ON_INPUT_SCALE',
  text: 'the operator that reads its result has a scale of its own, and the integer kernel keeps that of the input',
}
const REAL_OPERAND: Reason = {
  code: 'REAL_OPERAND',
  text: 'an operand is computed in float, and no operator that sums products reads it',
}

const hasIntegerReader = (c: Candidate, selection: Selection): boolean =>
  selection.outputs(c).some((value) => selection.integerReaders(value).length > 0)

const NO_READER: Reason = {
  code: 'NO_INTEGER_READER',
  text: 'no integer kernel reads its result, so that quantizing it would only add rounding',
}

function keepReached(selection: Selection, reached: ReadonlySet<Node>, reason: Reason): void {
  for (const c of open(selection)) if (!reached.has(c.node)) selection.drop(c.node, reason)
}

/** Nodes behind one that sums products, through chosen and absorbed nodes only or through any but those that read shapes. */
function downstream(selection: Selection, { ops }: PlanContext, throughAny: boolean): Set<Node> {
  const reached = new Set<Node>()
  const visit = (value: Value | null): void => {
    for (const node of value?.consumers() ?? []) {
      const goesOn =
        isQuantized(node, selection) || (throughAny && !ops.of(node)?.quant.traits?.includes('shape-source'))
      if (!goesOn || reached.has(node)) continue
      reached.add(node)
      todo.push(node)
    }
  }
  const todo: Node[] = [...selection.chosen.values()].filter((c) => c.kind === 'accumulate').map((c) => c.node)
  for (const node of todo) node.outputs.forEach(visit)
  return reached
}

/** Nodes before one that sums products, through chosen and absorbed nodes. */
function upstream(selection: Selection): Set<Node> {
  const reached = new Set<Node>()
  const todo: Node[] = [...selection.chosen.values()].filter((c) => c.kind === 'accumulate').map((c) => c.node)
  for (const node of todo) {
    for (const input of node.inputs) {
      const producer = input?.producer
      if (!producer || reached.has(producer) || !isQuantized(producer, selection)) continue
      reached.add(producer)
      todo.push(producer)
    }
  }
  return reached
}

const isQuantized = (node: Node, selection: Selection): boolean =>
  selection.chosen.has(node) || selection.hosts.has(node)
