import { type Model, type Node, Tensor, type Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { RuleContext, shapeOf } from '../../passes/index.ts'
import { ChannelClasses } from './classes.ts'
import { collapse, expand, idsAlong, type Labels } from './labels.ts'

/** A constant whose elements take part when channels are scaled: w[i] ← w[i] · factor(up) / factor(down). */
export interface ScaledConstant {
  readonly node: Node
  /** Position among the node's inputs. */
  readonly input: number
  /** `weight`: multiplied and summed. `bias`: added to values. `factor`: multiplied with values, element by element. */
  readonly role: 'weight' | 'bias' | 'factor'
  /** The constant; where channels along a dimension of 1 differ, repeated along it. */
  readonly tensor: Tensor
  /** Class of the values that the element makes; 0 for none. */
  readonly up: (index: number) => number
  /** Class of the values that the element reads; 0 for none. */
  readonly down: (index: number) => number
}

const NOTHING = (): number => 0

/** What rules ask and tell while the graph is walked in order. */
export class Tracer {
  readonly cx: RuleContext
  readonly classes = new ChannelClasses()
  readonly labels = new Map<Value, Labels>()
  readonly constants: ScaledConstant[] = []

  constructor(model: Model, ops: OpRegistry) {
    this.cx = new RuleContext(model, ops)
  }

  of(value: Value | null | undefined): Labels | undefined {
    return value ? this.labels.get(value) : undefined
  }

  give(value: Value | null | undefined, labels: Labels): void {
    if (value) this.labels.set(value, labels)
  }

  /** This value's channels keep their scale. */
  fix(value: Value | null | undefined): void {
    const labels = this.of(value)
    if (labels) this.classes.fix(labels.ids)
  }

  /** The classes of a value's channels along an axis. Where they change along others too, or are not known, the scale is fixed. */
  along(value: Value | null | undefined, axis: number, size: number): Int32Array {
    const labels = this.of(value)
    const ids = labels && idsAlong(labels, axis, size)
    if (!ids) this.fix(value)
    return ids ?? new Int32Array(size)
  }

  rank(value: Value | null | undefined): number | undefined {
    return shapeOf(value)?.length
  }

  /** Values that are added, or compared element by element: their channels must be scaled alike. */
  join(a: Labels, b: Labels): Labels {
    const rank = Math.max(a.dims.length, b.dims.length)
    const aligned = [a, b].map(({ dims }) => [...Array<number>(rank - dims.length).fill(1), ...dims])
    const dims = Array.from({ length: rank }, (_, i) => Math.max(...aligned.map((d) => d[i] as number)))
    const [left, right] = [expand(a, dims), expand(b, dims)]
    this.classes.joinAll(left.ids, right.ids)
    return collapse(left)
  }

  /** A weight, with the class of each of its elements on both sides. */
  weight(node: Node, tensor: Tensor, up: (i: number) => number, down: (i: number) => number): void {
    this.constants.push({ node, input: 1, role: 'weight', tensor, up, down })
  }

  /** A constant that broadcasts to a value with the classes `up`, or divides one with the classes `down` out. */
  elementwise(
    node: Node,
    input: number,
    tensor: Tensor,
    { role, up, down }: Pick<ScaledConstant, 'role'> & { readonly up?: Labels; readonly down?: Labels },
  ): void {
    const shapes = [tensor.dims, up?.dims ?? [], down?.dims ?? []]
    const rank = Math.max(...shapes.map((d) => d.length))
    const dims = Array.from({ length: rank }, (_, i) => Math.max(...shapes.map((d) => d[i - rank + d.length] ?? 1)))
    const spread = dims.reduce((n, d) => n * d, 1) === tensor.size ? tensor : repeated(tensor, dims)
    const at = (labels: Labels | undefined) => (labels ? lookup(expand(labels, dims).ids) : NOTHING)
    this.constants.push({ node, input, role, tensor: spread, up: at(up), down: at(down) })
  }
}

const lookup =
  (ids: Int32Array) =>
  (i: number): number =>
    ids[i] as number

function repeated(tensor: Tensor, dims: readonly number[]): Tensor {
  const positions = Int32Array.from({ length: tensor.size }, (_, i) => i)
  const { ids } = expand({ dims: tensor.dims, ids: positions }, dims)
  const values = tensor.numbers()
  return Tensor.fromNumbers(
    tensor.dtype,
    dims,
    Float64Array.from(ids, (i) => values[i] as number),
  )
}
