import type { Dim, Shape } from '../../ir/index.ts'
import { isStatic } from '../../ir/index.ts'

/** Distance between neighbours along each axis, row-major. */
const stridesOf = (dims: readonly number[]): number[] =>
  dims.map((_, axis) => dims.slice(axis + 1).reduce((n, d) => n * d, 1))

/**
 * The elements at every combination of positions, row by row.
 * @param picks positions per axis, in the order of `strides`, which need not be descending: permuting both transposes.
 */
function combine(elements: readonly Dim[], strides: readonly number[], picks: readonly (readonly number[])[]): Dim[] {
  const offsets = picks.reduce<number[]>(
    (bases, positions, axis) => bases.flatMap((base) => positions.map((p) => base + p * (strides[axis] ?? 0))),
    [0],
  )
  return offsets.map((offset) => elements[offset] ?? null)
}

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** Keeps the given positions along each axis; `undefined` keeps all. */
export function sliceFlat(
  elements: readonly Dim[] | undefined,
  shape: Shape | undefined,
  picks: readonly (readonly number[] | undefined)[],
): readonly Dim[] | undefined {
  if (!elements || !isStatic(shape)) return undefined
  return combine(
    elements,
    stridesOf(shape),
    shape.map((d, axis) => picks[axis] ?? range(d)),
  )
}

/** Reorders the axes; output axis i is input axis `perm[i]`. */
export function transposeFlat(
  elements: readonly Dim[] | undefined,
  shape: Shape | undefined,
  perm: readonly number[],
): readonly Dim[] | undefined {
  if (!elements || !isStatic(shape)) return undefined
  const strides = stridesOf(shape)
  return combine(
    elements,
    perm.map((axis) => strides[axis] ?? 0),
    perm.map((axis) => range(shape[axis] ?? 0)),
  )
}
