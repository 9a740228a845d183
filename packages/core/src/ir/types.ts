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
