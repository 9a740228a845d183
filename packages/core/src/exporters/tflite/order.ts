/**
 * Axis orders. A tensor in order `o` stores the ONNX value whose axis `o[i]` is the tensor's axis i: images are [0, 2, 3, 1], which is
 * NHWC, where ONNX says NCHW.
 */
export type Order = readonly number[]

export const NHWC: Order = [0, 2, 3, 1]

export const inOrder = (rank: number): Order => Array.from({ length: rank }, (_, i) => i)

export const shapeIn = (order: Order, shape: readonly number[]): number[] => order.map((axis) => shape[axis] as number)

/** The permutation that turns a tensor in order `from` into one in order `to`. */
export const between = (from: Order, to: Order): number[] => to.map((axis) => from.indexOf(axis))

export const sameOrder = (a: Order, b: Order): boolean => a.length === b.length && a.every((axis, i) => axis === b[i])

/** True where both orders put the elements in one sequence: axes of one element may stand anywhere. */
export function sameSequence(shape: readonly number[], a: Order, b: Order): boolean {
  const long = (order: Order) => order.filter((axis) => shape[axis] !== 1)
  return sameOrder(long(a), long(b))
}

/** The order of what is left when these axes go. */
export function withoutAxes(order: Order, gone: ReadonlySet<number>): Order {
  const kept = [...order].sort((a, b) => a - b).filter((axis) => !gone.has(axis))
  return order.filter((axis) => !gone.has(axis)).map((axis) => kept.indexOf(axis))
}

/** The elements of a row-major array with its axes in another order. */
export function permute<T extends number>(data: ArrayLike<T>, shape: readonly number[], order: Order): T[] {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((n, d) => n * d, 1))
  const dims = shapeIn(order, shape)
  const steps = shapeIn(order, strides)
  const out: T[] = []
  const index = new Array<number>(dims.length).fill(0)
  for (let count = dims.reduce((n, d) => n * d, 1), at = 0; count > 0; count--) {
    out.push(data[at] as T)
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1
      at += steps[axis] as number
      if (next < (dims[axis] as number)) {
        index[axis] = next
        break
      }
      at -= next * (steps[axis] as number)
      index[axis] = 0
    }
  }
  return out
}
