import type { DType } from '../util/index.ts'

/** One dimension: a size, a symbol such as `N` (equal names are equal sizes), or null when nothing is known. */
export type Dim = number | string | null
export type Shape = readonly Dim[]

export interface TensorType {
  readonly kind: 'tensor' | 'sparse-tensor'
  readonly dtype: DType
  /** Undefined when even the rank is unknown. */
  readonly shape: Shape | undefined
  readonly denotation?: string
}

export interface ContainerType {
  readonly kind: 'sequence' | 'optional'
  readonly element: ValueType | undefined
  readonly denotation?: string
}

export interface MapType {
  readonly kind: 'map'
  readonly key: DType
  readonly value: ValueType | undefined
  readonly denotation?: string
}

export type ValueType = TensorType | ContainerType | MapType

export const tensorType = (dtype: DType, shape?: Shape): TensorType => ({ kind: 'tensor', dtype, shape })

/** The type as a tensor type, or undefined for sequences, optionals and maps. */
export function asTensor(type: ValueType | undefined): TensorType | undefined {
  return type?.kind === 'tensor' ? type : undefined
}

export const isStatic = (shape: Shape | undefined): shape is readonly number[] =>
  shape?.every((d) => typeof d === 'number') ?? false

/** Number of elements, or undefined while any dimension is open. */
export function elementCount(shape: Shape | undefined): number | undefined {
  return isStatic(shape) ? shape.reduce((n, d) => n * d, 1) : undefined
}

/** True if two types say the same, denotations included. */
export function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  if (!a || !b || a.kind !== b.kind || a.denotation !== b.denotation) return a === b
  if (a.kind === 'map') return b.kind === 'map' && a.key === b.key && sameType(a.value, b.value)
  if ('element' in a) return 'element' in b && sameType(a.element, b.element)
  return 'dtype' in b && a.dtype === b.dtype && sameShape(a.shape, b.shape)
}

export function sameShape(a: Shape | undefined, b: Shape | undefined): boolean {
  if (!a || !b) return a === b
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}

/**
 * The type without its symbols. Files claim equal symbols for outputs that are not equal, such as a picture and its enlargement; engines
 * plan memory by them as soon as the value is an output no more.
 */
export function withoutSymbols<T extends ValueType | undefined>(type: T): T | TensorType {
  const tensor = asTensor(type)
  if (!tensor?.shape) return type
  return { ...tensor, shape: tensor.shape.map((dim) => (typeof dim === 'number' ? dim : null)) }
}
