import type { Graph, Node, Value } from '../../ir/index.ts'
import { dependencies } from '../../ir/index.ts'
import type { Coded, Step } from './network.ts'

export const isWeightDequantizer = ({ opType, inputs }: Node): boolean =>
  opType === 'DequantizeLinear' && !!inputs[0]?.constant

const isWeight = ({ producer }: Value): boolean => producer !== null && isWeightDequantizer(producer)

/** Gathers nodes that run in float until somebody reads what they make. */
export class Islands {
  readonly #graph: Graph
  readonly #coded: ReadonlyMap<Value, Coded>
  readonly #nodes = new Set<Node>()
  /** Real values of codes that were made for islands already. */
  readonly #dequantized = new Set<Value>()

  constructor(graph: Graph, coded: ReadonlyMap<Value, Coded>) {
    this.#graph = graph
    this.#coded = coded
  }

  add(node: Node): void {
    this.#nodes.add(node)
  }

  /** True if the value is made by a node that waits. */
  makes(value: Value): boolean {
    return value.producer !== null && this.#nodes.has(value.producer)
  }

  /** What runs the nodes that wait: real values of the codes that they read, and one island. */
  flush(): Step[] {
    const nodes = [...this.#nodes]
    this.#nodes.clear()
    const made = new Set(nodes.flatMap((node) => node.outputs))
    const makes = nodes.flatMap((node) => node.outputs.filter((v): v is Value => v !== null && this.#isSeen(v, nodes)))
    if (makes.length === 0) return []
    const read = new Set(nodes.flatMap((node) => [...dependencies(node)]))
    const reads = [...read].filter((v) => !made.has(v) && !this.#graph.initializers.has(v) && !isWeight(v))
    return [...reads.flatMap((value) => this.#real(value)), { kind: 'island', nodes, reads, makes }]
  }

  #isSeen(value: Value, nodes: readonly Node[]): boolean {
    return this.#graph.isOutput(value) || value.consumers().some((node) => !nodes.includes(node))
  }

  #real(value: Value): Step[] {
    const coded = this.#coded.get(value)
    const isCodes = value.producer?.opType === 'QuantizeLinear' || (coded?.slot === value && this.#graph.isInput(value))
    if (!coded || isCodes || this.#dequantized.has(value)) return []
    this.#dequantized.add(value)
    return [{ kind: 'dequantize', from: coded.slot, makes: value, grid: coded.grid }]
  }
}
