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

function fromEntries(data: TypedData): Uint8Array {
  const out = new (entryType(data.dtype))(data.entries.length)
  storeEntries(data, out)
  return finish(out, data.dtype)
}

const fromFloats = (data: TypedData): Uint8Array =>
  concatBytes([fromEntries(data), ...data.segments.map((segment) => segment.read())])

function fromVarints(data: TypedData): Uint8Array {
  if (data.entries.length > unitsOf(data)) throw wrongSize(data, data.entries.length)
  const out = new (entryType(data.dtype))(unitsOf(data))
  storeEntries(data, out)
  const packed = concatBytes(data.segments.map((segment) => segment.read()))
  const count = data.entries.length + unpackVarints(packed, out, data.entries.length)
  if (count !== out.length) throw wrongSize(data, count)
  return finish(out, data.dtype)
}

/** Any number but zero is true, so a bool must not be cut to eight bits before it is looked at. */
const entryType = (dtype: DType): TypedArrayConstructor => (dtype === 'bool' ? Int32Array : storageOf(dtype))

const finish = (out: TypedArray, dtype: DType): Uint8Array =>
  dtype === 'bool' ? Uint8Array.from(out as Int32Array, (value) => (value === 0 ? 0 : 1)) : bytesOf(out)

function storeEntries({ entries, dtype }: TypedData, out: TypedArray): void {
  // The one type whose field holds 64-bit numbers while it stores 32 bits.
  const narrow = dtype === 'uint32'
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as number | bigint
    out[i] = (narrow ? Number(BigInt.asUintN(32, BigInt(entry))) : entry) as number
  }
}
