import type { Node } from '../../../ir/index.ts'
import { intsAttribute } from '../../../passes/index.ts'
import { type CodeTensor, newCodes, sizeOf } from '../codes.ts'

export const COMPUTED = 'where elements go is computed while the model runs'

/** Whole numbers that a node has as an attribute or as a constant input. */
export const list = (node: Node, name: string, input: number): readonly number[] | undefined =>
  intsAttribute(node, name) ?? node.inputs[input]?.constant?.integers()

export const from0 = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

/** Elements from one index to the next along each axis. */
export const strides = (dims: readonly number[]): number[] => dims.map((_, i) => sizeOf(dims.slice(i + 1)))

/** Elements picked by their place in the input; a negative place is filled. */
export function picked(x: CodeTensor, dims: readonly number[], places: Int32Array, fill = 0): CodeTensor {
  const codes = newCodes(x.dtype, places.length)
  for (let i = 0; i < codes.length; i++) {
    const place = places[i] as number
    codes[i] = place < 0 ? fill : (x.codes[place] as number)
  }
  return { dims, codes, dtype: x.dtype }
}

/** Elements picked axis by axis. @param sources for each axis, the index in the input for every index; a negative one is filled. */
export function pickedAlong(x: CodeTensor, sources: readonly Int32Array[], fill = 0): CodeTensor {
  const own = strides(x.dims)
  let places = Int32Array.of(0)
  for (const [axis, along] of sources.entries()) {
    const next = new Int32Array(places.length * along.length)
    for (const [i, place] of places.entries()) {
      for (const [j, source] of along.entries()) {
        next[i * along.length + j] = place < 0 || source < 0 ? -1 : place + source * (own[axis] as number)
      }
    }
    places = next
  }
  const dims = sources.map(({ length }) => length)
  return picked(x, dims, places, fill)
}
