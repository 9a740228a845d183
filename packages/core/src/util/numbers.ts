import { byteLength, type DType, type TypedArray } from './index.ts'

// Replaced by the full low-bit codecs.
export function decodeNumbers(dtype: DType, bytes: Uint8Array, count: number): Float64Array {
  throw new Error(`${dtype} ${bytes.length} ${count} ${byteLength(dtype, count)}`)
}
export function encodeNumbers(dtype: DType, values: ArrayLike<number>): TypedArray {
  throw new Error(`${dtype} ${values.length}`)
}
