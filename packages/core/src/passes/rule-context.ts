import {
  allGraphs,
  asTensor,
  type Graph,
  type Model,
  type Node,
  type Shape,
  type Tensor,
  UniqueNames,
  type Value,
} from '../ir/index.ts'
import type { OpRegistry } from '../ops/registry.ts'
import type { Trait } from '../ops/traits.ts'

/** Questions about values that take the whole model to answer: who can see this, who can change it. */
export class RuleContext {
  readonly model: Model
  readonly ops: OpRegistry
  /** Every graph of the model. Rules neither add nor remove graphs, except with the node that holds them. */
  readonly graphs: readonly Graph[]

  constructor(model: Model, ops: OpRegistry) {
    this.model = model
    this.ops = ops
    this.graphs = [...allGraphs(model)]
  }

  hasTrait(node: Node, trait: Trait): boolean {
    return this.ops.of(node)?.quant.traits?.includes(trait) ?? false
  }

  /** True if some graph, nested ones included, returns this value. */
  isOutput(value: Value): boolean {
    return this.graphs.some((g) => g.isOutput(value))
  }

  isInput(value: Value): boolean {
    return this.graphs.some((g) => g.isInput(value))
  }

  /** The tensor of an initializer that no caller can override; a graph input with a default is not constant. */
  constant(value: Value | null | undefined): Tensor | undefined {
    return value?.constant && !this.isInput(value) ? value.constant : undefined
  }

  /** True if one input position of one node is all that would notice a change of this value. */
  hasOneUse(value: Value): boolean {
    return value.useCount === 1 && !this.isOutput(value)
  }
}

/** The tensor shape of a value where it is known at all; single dimensions may still be open. */
export const shapeOf = (value: Value | null | undefined): Shape | undefined => asTensor(value?.type)?.shape

/** Equal dimension by dimension: the same size, or the same symbol. Unknown dimensions equal nothing. */
export const sameShape = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a !== undefined && b !== undefined && a.length === b.length && a.every((d, i) => d !== null && d === b[i])

/** A value name that nothing around this graph uses yet. */
export const freshName = (graph: Graph, base: string): string => new UniqueNames(graph).value(base)
