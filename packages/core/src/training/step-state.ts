import { type Graph, type GraphBuilder, type Tensor, tensorType, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { StateEntry } from './step.ts'

/** A tensor of the state, as the step's graph takes it. */
export interface StateInput {
  readonly name: string
  readonly role: StateEntry['role']
  readonly value: Value
  readonly initial: Tensor
}

/** What goes into a step and comes out changed. */
export class StepState {
  readonly #b: GraphBuilder
  readonly #next: { readonly state: StateInput; readonly next: Value }[] = []

  constructor(b: GraphBuilder) {
    this.#b = b
  }

  /** Makes an initializer of the network a graph input of the same name. */
  open(value: Value, role: StateEntry['role']): StateInput {
    const initial = must(value.constant, `content of "${value.name}"`)
    value.constant = null
    this.#b.graph.initializers.delete(value)
    this.#b.graph.inputs.push(value)
    return { name: value.name, role, value, initial }
  }

  add(name: string, role: StateEntry['role'], initial: Tensor): StateInput {
    return { name, role, initial, value: this.#b.input(name, tensorType(initial.dtype, initial.dims)) }
  }

  /** Says what the state is after the step. */
  next(state: StateInput, next: Value): void {
    this.#next.push({ state, next })
  }

  /** Declares the graph's outputs. */
  close(): StateEntry[] {
    const { graph } = this.#b
    return this.#next.map(({ state: { name, role, value, initial }, next }) => {
      return { name, role, initial, input: value.name, output: ownOutput(graph, this.#b, next).name }
    })
  }
}

/** Declares a value as an output under its own name; inputs, constants and values that are outputs already get one more name. */
export function ownOutput(graph: Graph, b: GraphBuilder, value: Value): Value {
  const isFree = value.producer !== null && !graph.isOutput(value)
  return b.output(isFree ? value : b.op('Identity', [value], {}, { output: `${value.name}_out` }))
}
