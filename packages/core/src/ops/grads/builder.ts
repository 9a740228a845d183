import {
  type Attribute,
  asTensor,
  attribute,
  type Graph,
  type GraphBuilder,
  isStatic,
  Tensor,
  type Value,
} from '../../ir/index.ts'
import { type DType, dtypeToOnnx } from '../../util/index.ts'

/** A value, or a number that becomes a scalar constant of the element type in hand. */
export type Operand = Value | number

/** Writes nodes of arithmetic: gradients, losses, optimizers. Equal constants are one. */
export class GradBuilder {
  /** Element type of the gradients of the node in hand. */
  dtype: DType = 'float32'
  readonly #graph: GraphBuilder
  readonly #prefix: string
  readonly #constants = new Map<string, Value>()

  /** @param prefix what names of nodes and constants begin with. */
  constructor(graph: GraphBuilder, prefix = 'grad') {
    this.#graph = graph
    this.#prefix = prefix
  }

  /** Where nodes go. */
  get graph(): Graph {
    return this.#graph.graph
  }

  op(type: string, inputs: readonly (Operand | null)[], attrs: Readonly<Record<string, Attribute>> = {}): Value {
    return this.#graph.op(type, inputs.map(this.#value), attrs, { name: `${this.#prefix}_${type}` })
  }

  ops(type: string, inputs: readonly (Operand | null)[], attrs: Readonly<Record<string, Attribute>>, outputs: number) {
    return this.#graph.ops(type, inputs.map(this.#value), attrs, { name: `${this.#prefix}_${type}`, outputs })
  }

  readonly #value = (operand: Operand | null): Value | null =>
    typeof operand === 'number' ? this.scalar(operand) : operand

  scalar(value: number): Value {
    return this.#constant(`${this.dtype} ${value}`, () => Tensor.fromNumbers(this.dtype, [], [value]))
  }

  /** A list of int64: axes, shapes, pads. */
  ints(values: readonly number[]): Value {
    return this.#constant(`ints ${values.join()}`, () => Tensor.int64([values.length], values))
  }

  /** Floating-point data of the element type in hand. */
  tensor(dims: readonly number[], values: ArrayLike<number>): Value {
    return this.#graph.constant(`${this.#prefix}_constant`, Tensor.fromNumbers(this.dtype, dims, values))
  }

  /** Data of any element type. */
  constant(tensor: Tensor): Value {
    return this.#graph.constant(`${this.#prefix}_constant`, tensor)
  }

  #constant(key: string, make: () => Tensor): Value {
    const value = this.#constants.get(key) ?? this.#graph.constant(`${this.#prefix}_constant`, make())
    this.#constants.set(key, value)
    return value
  }

  add = (a: Operand, b: Operand): Value => this.op('Add', [a, b])
  sub = (a: Operand, b: Operand): Value => this.op('Sub', [a, b])
  mul = (a: Operand, b: Operand): Value => this.op('Mul', [a, b])
  div = (a: Operand, b: Operand): Value => this.op('Div', [a, b])
  neg = (a: Operand): Value => this.op('Neg', [a])
  square = (a: Operand): Value => this.op('Mul', [a, a])
  greater = (a: Operand, b: Operand): Value => this.op('Greater', [a, b])
  less = (a: Operand, b: Operand): Value => this.op('Less', [a, b])
  where = (condition: Value, a: Operand, b: Operand): Value => this.op('Where', [condition, a, b])

  /** Sum over axes. An empty list sums nothing. */
  sum(x: Value, axes: readonly number[], keepdims: boolean): Value {
    if (axes.length === 0) return x
    return this.op('ReduceSum', [x, this.ints(axes)], { keepdims: attribute.int(keepdims ? 1 : 0) })
  }

  /** Mean over axes, which keep size 1. */
  mean(x: Value, axes: readonly number[]): Value {
    return this.op('ReduceMean', [x, this.ints(axes)])
  }

  /** Sum of all elements, of rank 0. */
  total(x: Value): Value {
    return this.op('ReduceSum', [x], { keepdims: attribute.int(0) })
  }

  /** Mean of all elements, of rank 0. */
  meanOf(x: Value): Value {
    return this.op('ReduceMean', [x], { keepdims: attribute.int(0) })
  }

  reshape(x: Value, dims: readonly number[]): Value {
    return this.op('Reshape', [x, this.ints(dims)])
  }

  transpose(x: Value, perm: readonly number[]): Value {
    return perm.every((axis, i) => axis === i) ? x : this.op('Transpose', [x], { perm: attribute.ints(perm) })
  }

  cast(x: Value, to: DType): Value {
    return this.op('Cast', [x], { to: attribute.int(dtypeToOnnx(to)) })
  }

  /** The shape of a value: a constant where it is known, else read when the graph runs. */
  shapeOf(value: Value): Value {
    const shape = asTensor(value.type)?.shape
    return isStatic(shape) ? this.ints(shape) : this.op('Shape', [value])
  }

  /** The elements of `x` in the shape of another value. */
  reshapeLike(x: Value, like: Value): Value {
    return this.op('Reshape', [x, this.shapeOf(like)])
  }

  expandLike(x: Operand, like: Value): Value {
    return this.op('Expand', [x, this.shapeOf(like)])
  }

  zerosLike(value: Value): Value {
    return this.expandLike(0, value)
  }
}
