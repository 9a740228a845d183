import {
  type Attribute,
  asTensor,
  type Graph,
  GraphBuilder,
  type Node,
  Tensor,
  type TensorType,
  type Value,
} from '../../ir/index.ts'
import { type DType, must } from '../../util/index.ts'

/** What an adapter works with: one node, written for the version before the change, to be rewritten in place. */
export interface AdapterContext {
  readonly node: Node
  /** Type of input i as far as shape inference knows it. */
  input(i: number): TensorType | undefined
  /** A new initializer next to the node. */
  constant(name: string, tensor: Tensor): Value
  /** A new node right before the node. */
  before(type: string, inputs: readonly (Value | null)[], attributes?: Readonly<Record<string, Attribute>>): Value
}

/** Rewrites the node for the version that its table row names, or returns the reason why that cannot be done. */
export type Adapter = (cx: AdapterContext) => string | undefined

/** Adapters by operator type and by the version that made the change. */
export type AdapterTable = Readonly<Record<string, Readonly<Record<number, Adapter>>>>

export function adapterContext(node: Node): AdapterContext {
  const graph: Graph = must(node.graph, `graph of "${node.name}"`)
  const builder = () => new GraphBuilder(graph, { before: node })
  return {
    node,
    input: (i) => asTensor(node.inputs[i]?.type),
    constant: (name, tensor) => builder().constant(`${node.name || node.opType}_${name}`, tensor),
    before: (type, inputs, attributes = {}) => builder().op(type, inputs, attributes),
  }
}

export const int64s = (values: readonly number[]): Tensor => Tensor.int64([values.length], values)

/** A scalar of the element type that input 0 has. */
export const scalar = (dtype: DType, value: number): Tensor => Tensor.fromNumbers(dtype, [], [value])
