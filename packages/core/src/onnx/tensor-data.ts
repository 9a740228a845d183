import type { TensorProto } from 'onnx-buf'
import { byteLength, type DType, dtypeFromOnnx, dtypeInfo, type Place, problem } from '../util/index.ts'
import { externalRange, externalSource } from './external.ts'
import { payloadOf, RAW_DATA } from './payload.ts'
import { memoryTensor, type TensorSource } from './source.ts'
import { hasTypedData, typedSource } from './typed-data.ts'

/** onnx.proto's `TensorProto.DataLocation.EXTERNAL`. */
export const EXTERNAL = 1

/**
 * Element type of a tensor message.
 * @throws FewbitError ONNX_TENSOR_TYPE for a number that ONNX does not define.
 */
export function tensorDType(tensor: TensorProto): DType {
  const dtype = dtypeFromOnnx(tensor.dataType)
  if (dtype) return dtype
  throw problem('ONNX_TENSOR_TYPE', `the tensor has the unknown element type ${tensor.dataType}`, {
    at: placeOf(tensor),
  })
}

/**
 * Dimensions of a tensor message.
 * @throws FewbitError ONNX_TENSOR_DIMS for negative sizes, or more elements than a file can hold.
 */
export function tensorDims(tensor: TensorProto): number[] {
  const dims = tensor.dims.map(Number)
  const count = dims.reduce((n, d) => n * d, 1)
  if (dims.every((d) => d >= 0 && Number.isSafeInteger(d)) && Number.isSafeInteger(count * 16)) return dims
  const shape = dims.slice(0, 16).join(', ')
  throw problem('ONNX_TENSOR_DIMS', `the tensor has impossible dimensions [${shape}]`, { at: placeOf(tensor) })
}

/** Elements of a string tensor, as bytes. @throws FewbitError ONNX_TENSOR_SIZE. */
export function tensorStrings(tensor: TensorProto): Uint8Array[] {
  expectSize(tensor, tensor.stringData.length, elements(tensor), 'strings')
  return tensor.stringData
}

/**
 * The data of a tensor message in `raw_data` layout (row-major, little-endian, sub-byte types packed low bits first),
 * wherever the file keeps them: `raw_data`, a typed field, or an external file. A string tensor has no bytes here; see
 * `tensorStrings`. Nothing is read until the source is.
 * @throws FewbitError ONNX_TENSOR_* if type, dims and data disagree, ONNX_EXTERNAL_* for a bad reference.
 */
export function tensorSource(tensor: TensorProto): TensorSource {
  const dtype = tensorDType(tensor)
  const expected = byteLength(dtype, elements(tensor))
  if (dtype === 'string') return memoryTensor(new Uint8Array())
  if (tensor.dataLocation === EXTERNAL) return external(tensor, dtype, expected)
  if (tensor.segment) throw problem('ONNX_TENSOR_SEGMENT', 'tensor segments are not supported', { at: placeOf(tensor) })
  const raw = rawSource(tensor)
  if (raw) {
    expectSize(tensor, raw.byteLength, expected, 'bytes')
    return raw
  }
  if (expected === 0 && !hasTypedData(tensor, dtype)) return memoryTensor(new Uint8Array())
  return typedSource(tensor, dtype, elements(tensor), placeOf(tensor))
}

function rawSource(tensor: TensorProto): TensorSource | undefined {
  const deferred = payloadOf(tensor)?.segments.get(RAW_DATA)?.at(-1)
  if (deferred) return deferred
  return Object.hasOwn(tensor, 'rawData') ? memoryTensor(tensor.rawData) : undefined
}

function external(tensor: TensorProto, dtype: DType, expected: number): TensorSource {
  const at = placeOf(tensor)
  const range = externalRange(tensor, at)
  if (range.length !== undefined) expectSize(tensor, range.length, expected, 'bytes')
  const element = Math.max(1, dtypeInfo(dtype).bits / 8)
  if (expected % element !== 0) throw problem('ONNX_EXTERNAL_RANGE', 'the data end within an element', { at })
  const context = payloadOf(tensor)?.context ?? { file: undefined, openExternal: undefined }
  return externalSource(range, expected, context, at)
}

const elements = (tensor: TensorProto): number => tensorDims(tensor).reduce((n, d) => n * d, 1)

function expectSize(tensor: TensorProto, actual: number, expected: number, unit: string): void {
  if (actual === expected) return
  const shape = `${dtypeFromOnnx(tensor.dataType) ?? '?'}[${tensor.dims.join(', ')}]`
  const message = `the tensor ${shape} takes ${expected} ${unit}, but ${actual} are there`
  throw problem('ONNX_TENSOR_SIZE', message, { at: placeOf(tensor) })
}

function placeOf(tensor: TensorProto): Place {
  const file = payloadOf(tensor)?.context.file
  return { ...(file !== undefined && { file }), ...(tensor.name !== '' && { value: tensor.name }) }
}
