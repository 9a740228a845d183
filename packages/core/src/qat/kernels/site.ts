import { asTensor, type Graph, type Node, type Value } from '../../ir/index.ts'
import type { QFloatRecord, QuantizerRecord } from '../record.ts'

/** What a kernel reads: real values on a grid. */
export interface Operand {
  readonly value: Value
  /** Group whose grid it is. */
  readonly group: string
}

/** A node that the backend runs on codes, in a network with fake-quantizers. */
export interface KernelSite {
  readonly node: Node
  readonly operands: readonly Operand[]
  /** Real values that the backend adds as codes of the sum. */
  readonly bias?: Value
  /** Group of the fake-quantizer that takes the result to codes, behind nothing but what the kernel absorbs; absent: the result is real. */
  readonly output?: string
  /** Axes of the result. */
  readonly rank: number
}

/** What a kind of kernel can do. */
export interface KernelShape {
  readonly operands: number
  /** Also hands over real values. */
  readonly real?: true
}

/** Codes of more bits leave sums that float32 does not hold. */
const MOST_BITS = 8

/** What kernels absorb in front of a requantizer that clips as it does. */
const ABSORBED: ReadonlySet<string> = new Set(['Relu', 'Clip'])

export interface KernelSearch {
  readonly graph: Graph
  readonly record: Pick<QFloatRecord, 'plan' | 'quantizers'>
  readonly shapes: Readonly<Record<string, KernelShape>>
  /** Whether the scale of a group can be written. */
  hasScale(record: QuantizerRecord): boolean
  /** Groups of weights that are folded behind their fake-quantizers, by layer. */
  readonly folded: ReadonlyMap<string, string>
}

/** Nodes that the plan gives to integer kernels of a known kind, between fake-quantizers. */
export function kernelSites(search: KernelSearch): KernelSite[] {
  const finder = new SiteFinder(search)
  return [...search.graph.nodes].flatMap((node) => finder.at(node) ?? [])
}

class SiteFinder {
  readonly #search: KernelSearch
  readonly #decisions: ReadonlyMap<string, string>
  readonly #quantizers: ReadonlyMap<string, QuantizerRecord>
  readonly #usable: ReadonlySet<string>

  constructor(search: KernelSearch) {
    const { plan, quantizers } = search.record
    this.#search = search
    this.#decisions = new Map(plan.nodes.map(({ node, decision }) => [node, decision]))
    const on = quantizers.filter(({ enabled }) => enabled)
    this.#quantizers = new Map(on.flatMap((record) => record.sites.map(({ node }) => [node, record] as const)))
    const usable = on.filter((record) => isOfBytes(record) && search.hasScale(record))
    this.#usable = new Set(usable.map(({ group }) => group))
  }

  at(node: Node): KernelSite | undefined {
    const shape = this.#search.shapes[node.qualifiedType]
    if (!shape || this.#decisions.get(node.name) !== 'integer') return undefined
    const operands = node.inputs.slice(0, shape.operands).flatMap((_, i) => this.#operand(node, i) ?? [])
    const output = this.#requantizer(node)
    const rank = asTensor(node.outputs[0]?.type)?.shape?.length
    if (operands.length !== shape.operands || rank === undefined || (!output && !shape.real)) return undefined
    const given = node.inputs[shape.operands]
    if (given && !this.#hasIntegerBias(node)) return undefined
    return { node, operands, rank, ...(given && { bias: given }), ...(output !== undefined && { output }) }
  }

  #operand(node: Node, index: number): Operand | undefined {
    const value = node.inputs[index]
    const folded = index === 1 ? this.#search.folded.get(node.name) : undefined
    const group = folded ?? this.#quantizers.get(value?.producer?.name ?? '')?.group
    return value && group !== undefined && this.#usable.has(group) ? { value, group } : undefined
  }

  /** Group of the fake-quantizer behind a node. */
  #requantizer(node: Node): string | undefined {
    const [value] = node.outputs
    if (value?.useCount !== 1 || this.#search.graph.isOutput(value)) return undefined
    const [next] = value.consumers()
    const group = next && this.#quantizers.get(next.name)?.group
    if (group !== undefined) return this.#usable.has(group) ? group : undefined
    const absorbs = next && ABSORBED.has(next.qualifiedType) && this.#decisions.get(next.name) === 'fused'
    return absorbs ? this.#requantizer(next) : undefined
  }

  #hasIntegerBias({ name }: Node): boolean {
    const { tensors } = this.#search.record.plan
    return tensors.some(({ source, readers }) => source.kind === 'bias' && readers.includes(name))
  }
}

const isOfBytes = ({ role, spec }: QuantizerRecord): boolean =>
  spec.bits <= MOST_BITS && !spec.format && (role !== 'activation' || spec.granularity.kind === 'tensor')
