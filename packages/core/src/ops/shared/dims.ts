import type { Dim, Shape } from '../../ir/index.ts'
import type { InferContext } from '../define-op.ts'

/** Arithmetic on dimensions: exact for numbers, kept for symbols where the result is the same symbol, null otherwise. */
export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b
  return a === 0 ? b : b === 0 ? a : null
}

export function subDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && a === b) return 0
  return b === 0 ? a : null
}

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b
  if (a === 0 || b === 0) return 0
  return a === 1 ? b : b === 1 ? a : null
}

/** Both as one number or symbol known to be equal: the more precise one. */
export function unifyDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number') return a
  return typeof b === 'number' ? b : (a ?? b)
}

/** True when both are numbers and differ: the only thing that can be said to be wrong. */
export const dimsConflict = (a: Dim, b: Dim): boolean => typeof a === 'number' && typeof b === 'number' && a !== b

/** Product of all dimensions, null while any is open (a zero settles it). */
export const sizeOf = (shape: Shape): Dim => shape.reduce<Dim>((product, d) => mulDims(product, d), 1)

/** Position of a possibly negative axis. @throws FewbitError SHAPE_MISMATCH outside [-rank, rank). */
export function normalizeAxis(cx: InferContext, axis: number, rank: number): number {
  if (!(axis >= -rank && axis < rank)) cx.mismatch(`axis ${axis} is outside rank ${rank}`)
  return axis < 0 ? axis + rank : axis
}

export const normalizeAxes = (cx: InferContext, axes: readonly number[], rank: number): number[] =>
  axes.map((axis) => normalizeAxis(cx, axis, rank))

/** All elements of an integer input as numbers, or undefined while any is open. */
export function knownElements(cx: InferContext, i: number): readonly number[] | undefined {
  const elements = cx.elements(i)
  return elements?.every((e) => typeof e === 'number') ? (elements as readonly number[]) : undefined
}

/** An unknown shape of known rank. */
export const openShape = (rank: number): Shape => Array<null>(rank).fill(null)
