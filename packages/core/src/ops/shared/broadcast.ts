import type { Dim, Shape } from '../../ir/index.ts'
import type { InferContext } from '../define-op.ts'

/**
 * One dimension of numpy broadcasting. An open dimension against a number above 1 must be 1 or that number, so the
 * number is the result either way; two different open ones stay open.
 */
function broadcastDim(cx: InferContext, a: Dim, b: Dim): Dim {
  if (a === 1 || a === b) return b
  if (b === 1) return a
  if (typeof a === 'number' && typeof b === 'number') return cx.mismatch(`dimensions ${a} and ${b} do not broadcast`)
  return typeof a === 'number' ? a : typeof b === 'number' ? b : null
}

/** Shape of numpy-style multidirectional broadcasting; undefined while any rank is unknown. */
export function broadcastShapes(cx: InferContext, shapes: readonly (Shape | undefined)[]): Shape | undefined {
  let result: Shape = []
  for (const shape of shapes) {
    if (!shape) return undefined
    const rank = Math.max(shape.length, result.length)
    const at = (s: Shape, i: number): Dim => s[i - rank + s.length] ?? (i < rank - s.length ? 1 : null)
    const previous = result
    result = Array.from({ length: rank }, (_, i) => broadcastDim(cx, at(previous, i), at(shape, i)))
  }
  return result
}

/** Elementwise arithmetic on small tensors, with scalar or equal-length broadcasting. */
export function broadcastElements(
  cx: InferContext,
  inputs: readonly number[],
  combine: (...elements: Dim[]) => Dim,
): readonly Dim[] | undefined {
  const lists = inputs.map((i) => cx.elements(i))
  const length = Math.max(...lists.map((list) => list?.length ?? 0))
  if (lists.some((list) => !list || (list.length !== 1 && list.length !== length))) return undefined
  return Array.from({ length }, (_, i) => combine(...lists.map((list) => list?.[list.length === 1 ? 0 : i] ?? null)))
}
