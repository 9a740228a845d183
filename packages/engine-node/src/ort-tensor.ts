// First: it must run before the library is loaded.
import './no-telemetry.ts'
import { Tensor } from '@fewbit/core/ir'
import { bytesOf, type DType, decodeUtf8, encodeUtf8, type TypedArray } from '@fewbit/core/util'
import { Tensor as OrtTensor } from 'onnxruntime-node'

/** Storage of every dtype that crosses the boundary is the array that ONNX Runtime wants, so nothing is copied. */
export function toOrt(tensor: Tensor): OrtTensor {
  const dims = [...tensor.dims]
  if (tensor.dtype === 'string') return new OrtTensor('string', tensor.stringBytes().map(decodeUtf8), dims)
  return new OrtTensor(tensor.dtype as 'float32', tensor.storage() as Float32Array, dims)
}

/** A view on the engine's buffer, which belongs to the result and is not reused. */
export function fromOrt(tensor: OrtTensor): Tensor {
  const { type, dims, data } = tensor
  if (type === 'string') return Tensor.strings(dims, (data as string[]).map(encodeUtf8))
  return Tensor.fromBytes(type as DType, dims, bytesOf(data as TypedArray))
}
