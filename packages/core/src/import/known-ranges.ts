import type { Node, Value } from '../ir/index.ts'
import type { OpRegistry, Trait } from '../ops/index.ts'
import {
  coveredRange,
  outputBounds,
  type ParamsTable,
  type QuantParams,
  type QuantPlan,
  type Range,
} from '../quant/index.ts'

/**
 * The ranges that a quantized file covers, by value: (qmin − z)·s … (qmax − z)·s of its own quantizers, and what follows from them for
 * values that it left alone.
 *
 * Forward: elements that are moved, joined or clipped lie where they came from. Backward: a value that is only moved or clipped may
 * be cut to what its readers hand on, because clipping first and moving or clipping then gives the same.
 */
export class KnownRanges {
  readonly #own = new Map<string, Range>()
  readonly #ops: OpRegistry

  constructor(plan: QuantPlan, params: ParamsTable, ops: OpRegistry) {
    this.#ops = ops
    for (const { value, role, group } of plan.tensors) {
      const found = params.get(group)
      if (role !== 'activation' || found?.scale.length !== 1) continue
      this.#own.set(value, union([this.#own.get(value), rangeOf(found)]) as Range)
    }
  }

  of(value: Value): Range | undefined {
    return this.#forward(value) ?? this.#backward(value)
  }

  #forward(value: Value): Range | undefined {
    const own = this.#own.get(value.name)
    const node = value.producer
    if (!node) return own
    const bounds = this.#clipping(node)
    if (own) return bounds ? clip(own, bounds) : own
    const [source] = node.inputs
    if (bounds) return map(source && this.#forward(source), (range) => clip(range, bounds))
    if (this.#has(node, 'scale-preserving')) return source ? this.#forward(source) : undefined
    if (!this.#has(node, 'same-scale-inputs')) return undefined
    return all(node.inputs.map((input) => (input ? this.#forward(input) : undefined)))
  }

  #backward(value: Value): Range | undefined {
    const readers = value.uses()
    if (readers.length === 0 || value.producer?.graph?.isOutput(value)) return undefined
    const cut = readers.every(
      ({ node, index }) => index === 0 && (this.#has(node, 'scale-preserving') || this.#clipping(node)),
    )
    if (!cut) return undefined
    const results = readers.flatMap(({ node }) => node.outputs.slice(0, 1))
    return all(results.map((result) => map(result, (v) => this.#own.get(v.name) ?? this.#backward(v))))
  }

  #has(node: Node, trait: Trait): boolean {
    return this.#ops.of(node)?.quant.traits?.includes(trait) ?? false
  }

  /** The bounds of a node that only clips: Relu, Clip. */
  #clipping(node: Node): { readonly lo?: number; readonly hi?: number } | undefined {
    const def = this.#ops.of(node)
    if (!def?.quant.traits?.includes('fusable-activation') || def.quant.fixedRange) return undefined
    const bounds = outputBounds(node, def)
    return bounds?.lo === undefined && bounds?.hi === undefined ? undefined : bounds
  }
}

function rangeOf({ scale, zeroPoint, spec }: QuantParams): Range {
  return coveredRange({ scale: scale[0] as number, zeroPoint: zeroPoint[0] as number }, spec)
}

const clip = ({ lo, hi }: Range, bounds: { readonly lo?: number; readonly hi?: number }): Range => ({
  lo: Math.max(lo, bounds.lo ?? -Infinity),
  hi: Math.min(hi, bounds.hi ?? Infinity),
})

const map = <A, B>(x: A | null | undefined, f: (x: A) => B): B | undefined => (x ? f(x) : undefined)

const union = (ranges: readonly (Range | undefined)[]): Range | undefined => {
  const known = ranges.filter((r) => r !== undefined)
  if (known.length === 0) return undefined
  return { lo: Math.min(...known.map((r) => r.lo)), hi: Math.max(...known.map((r) => r.hi)) }
}

/** The union, if every one is known. */
const all = (ranges: readonly (Range | undefined)[]): Range | undefined =>
  ranges.includes(undefined) ? undefined : union(ranges)
