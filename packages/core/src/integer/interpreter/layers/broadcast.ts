import { sizeOf } from '../codes.ts'

/** Dims of two operands that meet element by element, NumPy's rule. */
export function broadcastDims(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1]
    return x === 1 ? y : x
  })
}

/** Elements from one index to the next along each axis of `to`, 0 where `from` is repeated. */
export function stridesOf(from: readonly number[], to: readonly number[]): number[] {
  const strides = new Array<number>(to.length).fill(0)
  let step = 1
  for (let i = 1; i <= from.length; i++) {
    const size = from[from.length - i] as number
    if (size > 1) strides[to.length - i] = step
    step *= size
  }
  return strides
}

/** For each element of `to`, the element of `from` that stands there. */
export const offsetsOf = (from: readonly number[], to: readonly number[]): Int32Array => walk(to, stridesOf(from, to))

/** The offsets of a walk over `dims` with these strides, row-major. */
export function walk(dims: readonly number[], strides: readonly number[], start = 0): Int32Array {
  const out = new Int32Array(sizeOf(dims))
  if (out.length === 0) return out
  const index = new Array<number>(dims.length).fill(0)
  let at = start
  for (let i = 0; i < out.length; i++) {
    out[i] = at
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis] as number
      index[axis] = (index[axis] as number) + 1
      if ((index[axis] as number) < (dims[axis] as number)) break
      at -= (dims[axis] as number) * (strides[axis] as number)
      index[axis] = 0
    }
  }
  return out
}
