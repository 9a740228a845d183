import { type Dim, type Shape, tensorType, type ValueType } from '../../ir/index.ts'
import { type DType, dtypeFromOnnx } from '../../util/index.ts'
import type { InferContext } from '../define-op.ts'
import { knownElements, openShape, unifyDims } from './dims.ts'

/** Whether an optional input is wired. */
export const given = (cx: InferContext, i: number): boolean => (cx.node.inputs[i] ?? null) !== null

/** Number of elements of a rank-1 input, such as the length of an axes list. */
export function lengthOf(cx: InferContext, i: number): number | undefined {
  const dim = cx.input(i)?.shape?.[0]
  return typeof dim === 'number' ? dim : undefined
}

/**
 * A list that moved from an attribute to an input: `absent` when neither is given, undefined when the input is not a
 * known constant.
 */
export function listOf(
  cx: InferContext,
  attribute: readonly number[] | undefined,
  i: number,
): readonly number[] | 'absent' | undefined {
  if (attribute) return attribute
  return given(cx, i) ? knownElements(cx, i) : 'absent'
}

/** Element type named by an attribute that holds an ONNX enumeration number. */
export function dtypeAttr(cx: InferContext, code: number): DType {
  return dtypeFromOnnx(code) ?? cx.mismatch(`element type ${code} does not exist`)
}

/** What is common to two shapes that one value may have: the dimensions that agree. */
function commonShape(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || !b || a.length !== b.length) return undefined
  return a.map((d, i) => (d === b[i] ? d : null))
}

/** What is common to two types that one value may have, depending on a condition or an iteration. */
export function commonType(a: ValueType | undefined, b: ValueType | undefined): ValueType | undefined {
  if (!a || !b || a.kind !== b.kind) return undefined
  if (a.kind === 'tensor' && b.kind === 'tensor') {
    return a.dtype === b.dtype ? tensorType(a.dtype, commonShape(a.shape, b.shape)) : undefined
  }
  if ((a.kind === 'sequence' || a.kind === 'optional') && a.kind === b.kind) {
    return { kind: a.kind, element: commonType(a.element, b.element) }
  }
  return a
}

/** Dimensions along an axis that all inputs but the concatenated one must agree on. */
export function unifyShapes(shapes: readonly (Shape | undefined)[]): Dim[] | undefined {
  const known = shapes.filter((s) => s !== undefined)
  const first = known[0]
  if (!first || known.some((s) => s.length !== first.length)) return undefined
  return first.map((_, i) => known.reduce<Dim>((dim, s) => unifyDims(dim, s[i] ?? null), null))
}

/** A shape with a dimension replaced, removed or inserted. */
export const withDim = (shape: Shape, axis: number, dim: Dim): Dim[] => shape.map((d, i) => (i === axis ? dim : d))
export const withoutDim = (shape: Shape, axis: number): Dim[] => shape.filter((_, i) => i !== axis)
export const withInserted = (shape: Shape, axis: number, dim: Dim): Dim[] => [
  ...shape.slice(0, axis),
  dim,
  ...shape.slice(axis),
]

/** A shape given by an input's elements: negative and unknown entries are open. */
export function shapeFrom(cx: InferContext, i: number): Shape | undefined {
  const elements = cx.elements(i)
  if (elements) return elements.map((d) => (typeof d === 'number' && d < 0 ? null : d))
  const rank = lengthOf(cx, i)
  return rank === undefined ? undefined : openShape(rank)
}
