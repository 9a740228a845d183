import type { Value } from '../ir/index.ts'
import { Groups } from './groups.ts'
import type { ParamSource } from './plan.ts'
import type { Candidate } from './planner-candidates.ts'
import type { Selection } from './planner-select.ts'
import type { Alignment } from './target.ts'

/** Who shares a scale with whom, and whose elements contain whose. */
export interface Sharing {
  readonly groups: Groups<Value>
  /** A value all of whose elements are found in the other value. */
  readonly follows: ReadonlyMap<Value, Value>
}

/**
 * A node that moves elements keeps their codes, so that its outputs take the scale of its input. A node that joins its inputs
 * copies codes as they are where all share one scale; an input that others read too keeps a scale of its own instead, and
 * the kernel converts it, because sharing would coarsen it for the other readers.
 */
export function shareScales(selection: Selection): Sharing {
  const groups = new Groups<Value>()
  const follows = new Map<Value, Value>()
  for (const c of selection.chosen.values()) {
    if (c.kind !== 'pass' || c.rule.share !== 'input0') continue
    const input = c.node.inputs[0]
    for (const output of selection.outputs(c)) {
      if (!input) continue
      groups.union(input, output)
      follows.set(output, input)
    }
  }
  for (const c of selection.chosen.values()) {
    if (c.rule.share === 'all-inputs') shareJoin(c, selection, { groups, follows })
    if (c.rule.align) align(c, c.rule.align, selection, { groups, follows })
  }
  return { groups, follows }
}

type Open = { groups: Groups<Value>; follows: Map<Value, Value> }

/** Makes scales equal because the kernel cannot convert, whatever it costs other readers. */
function align(c: Candidate, how: Alignment, selection: Selection, sharing: Open): void {
  const inputs = c.data.flatMap((i) => c.node.inputs[i] ?? []).filter((v) => selection.isQuantized(v))
  const outputs = selection.outputs(c).filter((v) => selection.isQuantized(v))
  const [first] = how === 'output' ? outputs : inputs
  if (!first || how === 'none') return
  const others = how === 'large' ? inputs : how === 'output' ? inputs : outputs
  for (const other of others) {
    sharing.groups.union(first, other)
    if (how === 'large' || other === first) continue
    const root = rootOf(other, sharing.follows)
    // A range that the operator guarantees, or a value that others have joined, is measured beside the others: the union serves all.
    if (root !== rootOf(first, sharing.follows) && root === other) sharing.follows.set(other, first)
  }
}

function shareJoin(c: Candidate, selection: Selection, sharing: Open): void {
  const [output] = selection.outputs(c)
  const inputs = c.data.flatMap((i) => c.node.inputs[i] ?? [])
  // Codes that end where a Relu or Clip does can be shared with their like only: a wider range would bring the Relu back.
  const bounds = new Map(inputs.map((input) => [input, fusedBounds(input, selection, sharing.follows)]))
  const alike = new Set(bounds.values()).size === 1
  for (const input of inputs) {
    if (!output || fixedRangeOf(input, selection, sharing.follows)) continue
    if (!alike && bounds.get(input) !== '') continue
    if (!isReadOnlyHere(input, c, selection, sharing.follows)) continue
    sharing.groups.union(output, input)
    if (!sharing.follows.has(input)) sharing.follows.set(input, output)
  }
}

/** Bounds at which the codes of a value end because its kernel clips by them, as text; empty if it does not. */
function fusedBounds(value: Value, selection: Selection, follows: ReadonlyMap<Value, Value>): string {
  const root = rootOf(value, follows)
  const maker = selection.maker(root)
  const fused = maker && selection.fused.get(maker.node)
  return fused?.pattern.clips === 'codes' ? JSON.stringify(fused.bounds) : ''
}

/** The value whose elements these are in the end. */
export function rootOf(value: Value, follows: ReadonlyMap<Value, Value>): Value {
  let root = value
  for (let up = follows.get(root); up; up = follows.get(root)) root = up
  return root
}

/** True if the input, and whatever it is moved from, goes nowhere else. */
function isReadOnlyHere(
  input: Value,
  join: Candidate,
  selection: Selection,
  follows: ReadonlyMap<Value, Value>,
): boolean {
  if (input.consumers().length !== 1 || join.node.graph?.isOutput(input)) return false
  for (let v = follows.get(input); v; v = follows.get(v)) {
    if (v.consumers().length !== 1 || selection.maker(v)?.rule.share === 'all-inputs') return false
  }
  return true
}

/** The range that the operator behind a value guarantees, seen through nodes that only move elements. */
export function fixedRangeOf(
  value: Value,
  selection: Selection,
  follows: ReadonlyMap<Value, Value>,
): (ParamSource & { kind: 'fixed' }) | undefined {
  const root = rootOf(value, follows)
  const maker = selection.maker(root)
  const range = maker?.node.outputs.includes(root) ? maker.def.quant.fixedRange : undefined
  return range && { kind: 'fixed', range: { lo: range[0], hi: range[1] } }
}
