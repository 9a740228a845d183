import { Tensor } from '../ir/index.ts'

/** Which way matrices lie in a file. */
export type Layout = 'pytorch' | 'onnx'

/**
 * A tensor in the place of another: of its type and sizes. Read, converted and turned when it is asked for.
 * @param turned whether the tensor is the other's transpose.
 * @returns nothing where the sizes are others.
 */
export function fitted(tensor: Tensor, place: Tensor, turned: boolean): Tensor | undefined {
  const dims = turned ? tensor.dims.toReversed() : tensor.dims
  const alike = dims.length === place.dims.length && dims.every((d, i) => d === place.dims[i])
  if (!alike) return undefined
  if (!turned && tensor.dtype === place.dtype) return tensor
  let bytes: Uint8Array | undefined
  const read = (): Uint8Array => {
    bytes ??= Tensor.fromNumbers(place.dtype, dims, turned ? transposed(tensor) : tensor.numbers()).bytes()
    return bytes
  }
  return new Tensor(place.dtype, place.dims, { byteLength: place.byteLength, read })
}

function transposed(matrix: Tensor): Float32Array | Float64Array {
  const [rows = 0, columns = 0] = matrix.dims
  const from = matrix.numbers()
  const to = from.slice()
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j] as number
  return to
}
