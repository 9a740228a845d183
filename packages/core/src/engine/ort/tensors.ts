import { Tensor } from '../../ir/index.ts'
import { bytesOf, type DType, decodeUtf8, encodeUtf8, type TypedArray } from '../../util/index.ts'
import type { OrtBindings, OrtValue } from './bindings.ts'

/** Storage of every dtype that crosses the boundary is the array that ONNX Runtime wants, so nothing is copied. */
export function toOrt(tensor: Tensor, make: OrtBindings['tensor']): OrtValue {
  const dims = [...tensor.dims]
  if (tensor.dtype === 'string') return make('string', tensor.stringBytes().map(decodeUtf8), dims)
  return make(tensor.dtype, tensor.storage(), dims)
}

/** A view on the engine's buffer, which belongs to the result and is not reused. */
export function fromOrt({ type, dims, data }: OrtValue): Tensor {
  if (type === 'string') return Tensor.strings(dims, (data as string[]).map(encodeUtf8))
  return Tensor.fromBytes(type as DType, dims, bytesOf(data as TypedArray))
}
