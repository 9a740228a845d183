import type { TensorProto } from 'onnx-buf'
import {
  byteLength,
  bytesOf,
  concatBytes,
  type DType,
  dtypeInfo,
  type FewbitError,
  type Place,
  problem,
  type TypedArray,
  type TypedArrayConstructor,
} from '../util/index.ts'
import { payloadOf } from './payload.ts'
import { memoryTensor, type TensorSource } from './source.ts'
import { unpackVarints } from './varints.ts'

type TypedField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data'

const NUMBER_OF: Readonly<Record<TypedField, number>> = {
  floatData: 4,
  int32Data: 5,
  int64Data: 7,
  doubleData: 10,
  uint64Data: 11,
}

/** The typed field that onnx.proto assigns to an element type. */
function fieldFor(dtype: DType): TypedField {
  if (dtype === 'float32' || dtype === 'complex64') return 'floatData'
  if (dtype === 'float64' || dtype === 'complex128') return 'doubleData'
  if (dtype === 'int64') return 'int64Data'
  return dtype === 'uint64' || dtype === 'uint32' ? 'uint64Data' : 'int32Data'
}

export function hasTypedData(tensor: TensorProto, dtype: DType): boolean {
  const field = fieldFor(dtype)
  return tensor[field].length > 0 || (payloadOf(tensor)?.segments.has(NUMBER_OF[field]) ?? false)
}

/**
 * Data of a typed field in `raw_data` layout. One entry of the field is one stored unit: an element, half of a complex
 * number, or a byte of packed 4- or 2-bit elements.
 * @throws FewbitError ONNX_TENSOR_SIZE, at once or, where counting means reading the file, at the first read.
 */
export function typedSource(tensor: TensorProto, dtype: DType, count: number, at: Place): TensorSource {
  const field = fieldFor(dtype)
  const data: TypedData = {
    entries: tensor[field],
    segments: payloadOf(tensor)?.segments.get(NUMBER_OF[field]) ?? [],
    isFloat: field === 'floatData' || field === 'doubleData',
    dtype,
    byteLength: byteLength(dtype, count),
    at,
  }
  checkBound(data)
  if (data.segments.length === 0) return memoryTensor(fromEntries(data))
  const [only, second] = data.segments
  if (data.isFloat && only && !second && data.entries.length === 0) return only
  const read = data.isFloat ? () => fromFloats(data) : () => fromVarints(data)
  return { byteLength: data.byteLength, read }
}

interface TypedData {
  readonly entries: readonly (number | bigint)[]
  readonly segments: readonly TensorSource[]
  readonly isFloat: boolean
  readonly dtype: DType
  readonly byteLength: number
  readonly at: Place
}

const storageOf = (dtype: DType): TypedArrayConstructor => dtypeInfo(dtype).storage as TypedArrayConstructor
const unitsOf = (data: TypedData): number => data.byteLength / storageOf(data.dtype).BYTES_PER_ELEMENT
const inFile = (data: TypedData): number => data.segments.reduce((sum, segment) => sum + segment.byteLength, 0)

/** Compares with what the data could hold at most, before anything is allocated by the tensor's own word. */
function checkBound(data: TypedData): void {
  if (data.isFloat) {
    const actual = data.entries.length * storageOf(data.dtype).BYTES_PER_ELEMENT + inFile(data)
    if (actual !== data.byteLength) throw wrongSize(data, actual / storageOf(data.dtype).BYTES_PER_ELEMENT)
  } else if (data.segments.length === 0 ? data.entries.length !== unitsOf(data) : mostEntries(data) < unitsOf(data)) {
    throw wrongSize(data, mostEntries(data))
  }
}

const mostEntries = (data: TypedData): number => data.entries.length + inFile(data)

const wrongSize = (data: TypedData, actual: number): FewbitError =>
  problem(
    'ONNX_TENSOR_SIZE',
    `the ${data.dtype} tensor takes ${unitsOf(data)} entries of its typed field, but ${actual} are there`,
    { at: data.at },
  )

function fromEntries({ entries, dtype }: TypedData): Uint8Array {
  const out: TypedArray = new (storageOf(dtype))(entries.length)
  for (let i = 0; i < entries.length; i++) out[i] = entries[i] as number
  if (dtype === 'bool') normalizeBool(out)
  return bytesOf(out)
}

const fromFloats = (data: TypedData): Uint8Array =>
  concatBytes([fromEntries(data), ...data.segments.map((segment) => segment.read())])

function fromVarints(data: TypedData): Uint8Array {
  const out = new (storageOf(data.dtype))(unitsOf(data))
  const head = fromEntries(data)
  if (head.byteLength > out.byteLength) throw wrongSize(data, data.entries.length)
  bytesOf(out).set(head)
  const packed = concatBytes(data.segments.map((segment) => segment.read()))
  const count = data.entries.length + unpackVarints(packed, out, data.entries.length)
  if (count !== out.length) throw wrongSize(data, count)
  if (data.dtype === 'bool') normalizeBool(out)
  return bytesOf(out)
}

function normalizeBool(values: TypedArray): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i] ? 1 : 0
}
