import type { Node, Value } from '../ir/index.ts'
import type { Reason } from './plan.ts'
import type { Candidate, PlanContext } from './planner-candidates.ts'
import { dispatch } from './planner-dispatch.ts'
import type { Fused } from './planner-fusion.ts'

/** Somebody who wants a value as codes: a candidate, by itself or through a node that it absorbs. */
export interface Reader {
  readonly node: Node
  readonly candidate: Candidate
}

/** The candidates that are quantized after each has looked at its neighbours. */
export class Selection {
  readonly chosen: Map<Node, Candidate>
  readonly dropped = new Map<Node, Reason>()
  readonly fused: ReadonlyMap<Node, Fused>
  /** By absorbed node: the candidate that absorbs it. */
  readonly hosts = new Map<Node, Candidate>()
  readonly #cx: PlanContext
  /** By value: the candidate that hands it over, through what it absorbs. */
  readonly #maker = new Map<Value, Candidate>()

  constructor(candidates: readonly Candidate[], fused: ReadonlyMap<Node, Fused>, cx: PlanContext) {
    this.#cx = cx
    this.fused = fused
    for (const c of candidates) for (const node of fused.get(c.node)?.nodes ?? []) this.hosts.set(node, c)
    const own = candidates.filter((c) => !this.hosts.has(c.node))
    this.chosen = new Map(own.map((c) => [c.node, c]))
    for (const c of own) for (const value of this.outputs(c)) this.#maker.set(value, c)
    dispatch(this, cx)
  }

  drop(node: Node, reason: Reason): void {
    if (this.chosen.delete(node)) this.dropped.set(node, reason)
  }

  /**
   * Takes out the nodes that `isSmall` names and that are fed by float: from the inputs on, for as long as they follow one
   * another. Behind an integer node a small one stays, because the way back to float would cost more than it saves.
   */
  dropHead(isSmall: (candidate: Candidate) => Reason | undefined): void {
    for (const c of [...this.chosen.values()]) {
      const reason = this.chosen.has(c.node) ? isSmall(c) : undefined
      if (!reason || c.data.some((i) => this.comesAsCodes(c.node.inputs[i]))) continue
      this.drop(c.node, reason)
      dispatch(this, this.#cx)
    }
  }

  /** The values that a candidate hands to the world: its own outputs, or that of the last node that it absorbs. */
  outputs(candidate: Candidate): Value[] {
    const fused = this.fused.get(candidate.node)
    return fused ? [fused.output] : candidate.node.outputs.filter((v) => v !== null)
  }

  /** The chosen node that hands the value over. */
  maker(value: Value): Candidate | undefined {
    const maker = this.#maker.get(value)
    return maker && this.chosen.get(maker.node)
  }

  /** Who reads the value as codes, in the order of use. */
  integerReaders(value: Value): Reader[] {
    return value.consumers().flatMap((node) => {
      const candidate = this.chosen.get(node)
      if (candidate) {
        const reads = candidate.kind !== 'weights' && candidate.data.some((i) => node.inputs[i] === value)
        return reads ? [{ node, candidate }] : []
      }
      const host = this.hosts.get(node)
      const side = host && this.chosen.has(host.node) ? this.fused.get(host.node)?.side : undefined
      return host && side?.some((s) => s.node === node && s.value === value) ? [{ node, candidate: host }] : []
    })
  }

  /** True if the value must be quantized behind the node that makes it, since the kernel hands over codes only. */
  leavesAsCodes(value: Value): boolean {
    const maker = this.maker(value)
    if (!maker || maker.kind === 'weights' || this.#cx.target.points === 'inputs') return false
    return !maker.rule.floatOutput || this.#cx.target.points === 'outputs'
  }

  isQuantized(value: Value): boolean {
    return this.leavesAsCodes(value) || this.integerReaders(value).length > 0
  }

  /** True if an integer kernel makes the value, looking through nodes that only move elements. */
  comesAsCodes(value: Value | null | undefined): boolean {
    const inputsOnly = this.#cx.target.points === 'inputs'
    for (let v = value; v; ) {
      const maker = this.maker(v)
      if (maker?.kind !== 'pass')
        return this.leavesAsCodes(v) || (inputsOnly && maker !== undefined && maker.kind !== 'weights')
      v = maker.node.inputs[0]
    }
    return false
  }
}
