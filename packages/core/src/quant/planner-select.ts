import type { Node, Value } from '../ir/index.ts'
import type { Reason } from './plan.ts'
import type { Candidate } from './planner-candidates.ts'
import { type Fused, handedOver } from './planner-fusion.ts'

/** The candidates that are quantized after each has looked at its neighbours. */
export class Selection {
  readonly chosen: Map<Node, Candidate>
  readonly dropped = new Map<Node, Reason>()
  readonly fused: ReadonlyMap<Node, Fused>
  /** By value: the candidate that hands it over, through a fused activation where there is one. */
  readonly #maker = new Map<Value, Candidate>()

  constructor(candidates: readonly Candidate[], fused: ReadonlyMap<Node, Fused>) {
    this.chosen = new Map(candidates.map((c) => [c.node, c]))
    this.fused = fused
    for (const c of candidates) for (const value of this.outputs(c)) this.#maker.set(value, c)
    this.#settle(candidates)
  }

  /**
   * Takes out the nodes that `isSmall` names and that are fed by float: from the inputs on, for as long as they follow one
   * another. Behind an integer node a small one stays, because the way back to float would cost more than it saves.
   */
  dropHead(isSmall: (candidate: Candidate) => Reason | undefined): void {
    const candidates = [...this.chosen.values()]
    for (const c of candidates) {
      const reason = this.chosen.has(c.node) ? isSmall(c) : undefined
      if (!reason || c.data.some((i) => this.#comesAsCodes(c.node.inputs[i]))) continue
      this.chosen.delete(c.node)
      this.dropped.set(c.node, reason)
      this.#settle(candidates)
    }
  }

  outputs(candidate: Candidate): Value[] {
    return handedOver(candidate, this.fused.get(candidate.node))
  }

  /** The chosen node that hands the value over. */
  maker(value: Value): Candidate | undefined {
    const maker = this.#maker.get(value)
    return maker && this.chosen.get(maker.node)
  }

  /** Chosen nodes that read the value as data, in the order of use. */
  integerReaders(value: Value): Candidate[] {
    return value.consumers().flatMap((node) => {
      const c = this.chosen.get(node)
      return c && c.kind !== 'weights' && c.data.some((i) => node.inputs[i] === value) ? [c] : []
    })
  }

  /** True if the value must be quantized behind the node that makes it, since the kernel hands over codes only. */
  leavesAsCodes(value: Value): boolean {
    const maker = this.maker(value)
    return maker !== undefined && maker.kind !== 'weights' && !maker.rule.floatOutput
  }

  isQuantized(value: Value): boolean {
    return this.leavesAsCodes(value) || this.integerReaders(value).length > 0
  }

  /**
   * The greatest fixed point: everybody starts chosen, and whoever stands without integer neighbours goes, until nobody else
   * does. Starting from all keeps chains such as Conv → Sigmoid → Mul → Conv, whose links vouch for each other; each removal
   * can only take support from others, so that the order does not matter.
   */
  #settle(candidates: readonly Candidate[]): void {
    const open = candidates.filter((c) => c.kind === 'light' || c.kind === 'pass').reverse()
    for (let changed = true; changed; ) {
      changed = false
      for (const c of open) {
        const reason = this.chosen.has(c.node) ? this.#lonely(c) : undefined
        if (!reason) continue
        this.chosen.delete(c.node)
        this.dropped.set(c.node, reason)
        changed = true
      }
    }
  }

  #lonely(c: Candidate): Reason | undefined {
    if (!this.outputs(c).some((value) => this.integerReaders(value).length > 0)) {
      const text = 'no integer kernel reads its result, so that quantizing it would only add rounding'
      return { code: 'NO_INTEGER_READER', text }
    }
    const fed = c.kind === 'pass' || c.data.some((i) => this.#comesAsCodes(c.node.inputs[i]))
    if (fed) return undefined
    return {
      code: 'NO_INTEGER_SOURCE',
      text: 'none of its inputs comes from an integer kernel, so that quantizing it would only add rounding',
    }
  }

  /** Like `leavesAsCodes`, looking through nodes that only move elements. */
  #comesAsCodes(value: Value | null | undefined): boolean {
    for (let v = value; v; ) {
      const maker = this.maker(v)
      if (maker?.kind !== 'pass') return this.leavesAsCodes(v)
      v = maker.node.inputs[0]
    }
    return false
  }
}
