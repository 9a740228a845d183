import { type Dim, elementCount, type Shape } from '../../ir/index.ts'
import type { InferContext } from '../define-op.ts'
import { broadcastShapes } from './broadcast.ts'
import { dimsConflict } from './dims.ts'

/** numpy.matmul: vectors are promoted to matrices for the product and the added axis is dropped again. */
export function matmulShape(cx: InferContext, a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || !b) return undefined
  if (a.length === 0 || b.length === 0) return cx.mismatch('a scalar cannot be matrix-multiplied')
  const left = a.length === 1 ? [1, ...a] : a
  const right = b.length === 1 ? [...b, 1] : b
  const inner = [left.at(-1) ?? null, right.at(-2) ?? null] as const
  if (dimsConflict(...inner)) cx.mismatch(`inner dimensions ${inner[0]} and ${inner[1]} differ`)
  const batch = broadcastShapes(cx, [left.slice(0, -2), right.slice(0, -2)])
  const rows: Dim[] = a.length === 1 ? [] : [left.at(-2) ?? null]
  const columns: Dim[] = b.length === 1 ? [] : [right.at(-1) ?? null]
  return batch && [...batch, ...rows, ...columns]
}

/** Output elements times the length of the sum behind each. */
export function macsPerOutput(output: Shape | undefined, terms: Dim | undefined): number | undefined {
  const count = elementCount(output)
  return count === undefined || typeof terms !== 'number' ? undefined : count * terms
}

/** Elements of a weight divided by its first dimension: the terms of one output (Conv) or input (ConvTranspose). */
export function filterSize(weight: Shape | undefined): number | undefined {
  return elementCount(weight?.slice(1))
}
