import { type Shape, tensorType, type ValueType } from '../../ir/index.ts'
import type { DType } from '../../util/index.ts'
import type { InferContext } from '../define-op.ts'

type Types = readonly (ValueType | undefined)[]

/** Output 0 has the element type of input `from` (or `dtype`) and this shape. */
export function typed(cx: InferContext, shape: Shape | undefined, dtype?: DType, from = 0): ValueType | undefined {
  const known = dtype ?? cx.input(from)?.dtype
  return known && tensorType(known, shape)
}

/** Output 0 is like input 0 in element type and shape. */
export const likeInput = (cx: InferContext): Types => [typed(cx, cx.input(0)?.shape)]

/** Output 0 has input 0's shape and a fixed element type. */
export const likeInputOf =
  (dtype: DType) =>
  (cx: InferContext): Types => [tensorType(dtype, cx.input(0)?.shape)]

/** The shape of input i, which must have this rank when it is known. */
export function shapeOfRank(cx: InferContext, i: number, rank: number): Shape | undefined {
  const shape = cx.input(i)?.shape
  if (shape && shape.length !== rank) cx.mismatch(`input ${i} must have rank ${rank}, not ${shape.length}`)
  return shape
}

/** The shape of input i, which must have at least this rank when it is known. */
export function shapeOfMinRank(cx: InferContext, i: number, rank: number): Shape | undefined {
  const shape = cx.input(i)?.shape
  if (shape && shape.length < rank) cx.mismatch(`input ${i} must have rank ${rank} or more, not ${shape.length}`)
  return shape
}
