import { type TypedArray, type TypedArrayConstructor, viewAs } from './bytes.ts'
import { problem } from './diagnostics.ts'
import { byteLength, type DType, dtypeInfo, integerRange } from './dtype.ts'
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from './float16.ts'
import { decodeE8m0, encodeE8m0, encodeMinifloats, isMinifloat, minifloatTable } from './minifloat.ts'
import { packBits, signExtend, unpackBits } from './packed.ts'
import { roundHalfEven } from './rounding.ts'

/**
 * `count` elements of `raw_data` as numbers. 64-bit integers are exact up to 2^53; bool is 0 or 1.
 * @throws FewbitError TENSOR_SIZE if there are too few bytes, TENSOR_DTYPE for strings and complex numbers.
 */
export function decodeNumbers(dtype: DType, bytes: Uint8Array, count: number): Float64Array {
  if (bytes.byteLength < byteLength(dtype, count)) {
    throw problem('TENSOR_SIZE', `${count} ${dtype} elements take more than the ${bytes.byteLength} bytes given`)
  }
  const out = new Float64Array(count)
  if (dtype === 'float16') decodeFloat16(viewAs(bytes, Uint16Array), out)
  else if (dtype === 'bfloat16') decodeBfloat16(viewAs(bytes, Uint16Array), out)
  else if (dtype === 'bool') copyNumbers(bytes, out, (byte) => (byte === 0 ? 0 : 1))
  else if (dtype === 'float8e8m0') copyNumbers(bytes, out, decodeE8m0)
  else if (isMinifloat(dtype)) lookUp(unpacked(dtype, bytes, count), minifloatTable(dtype), out)
  else if (dtypeInfo(dtype).bits < 8) out.set(unpackedIntegers(dtype, bytes, count))
  else decodeStored(viewAs(bytes, numericStorage(dtype)), out)
  return out
}

/**
 * Numbers as the storage of `dtype` (`DTYPES[dtype].storage`). Floats round to nearest even; integers round half to
 * even and saturate, NaN becoming 0; float8 and float4 saturate like ONNX's Cast; float8e8m0 rounds up, its default.
 * @throws FewbitError TENSOR_DTYPE for strings and complex numbers.
 */
export function encodeNumbers(dtype: DType, values: ArrayLike<number>): TypedArray {
  if (dtype === 'float16') return encodeFloat16(values)
  if (dtype === 'bfloat16') return encodeBfloat16(values)
  if (dtype === 'bool') return Uint8Array.from(values, (value) => (value === 0 ? 0 : 1))
  if (dtype === 'float8e8m0') return Uint8Array.from(values, encodeE8m0)
  if (isMinifloat(dtype)) return packed(dtype, encodeMinifloats(dtype, values))
  if (dtypeInfo(dtype).kind === 'int') return encodeIntegers(dtype, values)
  return encodeStored(numericStorage(dtype), values)
}

function numericStorage(dtype: DType): TypedArrayConstructor {
  const { kind, storage } = dtypeInfo(dtype)
  if (storage && kind !== 'complex') return storage
  throw problem('TENSOR_DTYPE', `${dtype} elements are not numbers`)
}

function decodeStored(stored: TypedArray, out: Float64Array): void {
  if (stored instanceof BigInt64Array || stored instanceof BigUint64Array) {
    for (let i = 0; i < out.length; i++) out[i] = Number(stored[i])
  } else out.set(out.length === stored.length ? stored : stored.subarray(0, out.length))
}

function encodeStored(type: TypedArrayConstructor, values: ArrayLike<number>): TypedArray {
  const stored = new type(values.length) as Exclude<TypedArray, BigInt64Array | BigUint64Array>
  stored.set(values)
  return stored
}

function copyNumbers(bytes: Uint8Array, out: Float64Array, convert: (byte: number) => number): void {
  for (let i = 0; i < out.length; i++) out[i] = convert(bytes[i] as number)
}

function lookUp(patterns: Uint8Array, table: Float64Array, out: Float64Array): void {
  for (let i = 0; i < out.length; i++) out[i] = table[patterns[i] as number] as number
}

function unpacked(dtype: DType, bytes: Uint8Array, count: number): Uint8Array {
  const { bits } = dtypeInfo(dtype)
  return bits < 8 ? unpackBits(bytes, bits, count) : bytes
}

function packed(dtype: DType, patterns: Uint8Array): Uint8Array {
  const { bits } = dtypeInfo(dtype)
  return bits < 8 ? packBits(patterns, bits) : patterns
}

function unpackedIntegers(dtype: DType, bytes: Uint8Array, count: number): Uint8Array | Int8Array {
  const elements = unpacked(dtype, bytes, count)
  return dtype.startsWith('u') ? elements : signExtend(elements, dtypeInfo(dtype).bits)
}

function encodeIntegers(dtype: DType, values: ArrayLike<number>): TypedArray {
  const range = integerRange(dtype)
  if (!range) return encodeBigIntegers(dtype, values)
  const { bits } = dtypeInfo(dtype)
  const stored = new (bits < 8 ? Int8Array : numericStorage(dtype))(values.length)
  for (let i = 0; i < values.length; i++) stored[i] = saturate(values[i] as number, range.min, range.max)
  return bits < 8 ? packBits(stored as Int8Array, bits) : stored
}

function saturate(value: number, min: number, max: number): number {
  if (Number.isNaN(value)) return 0
  return roundHalfEven(Math.min(Math.max(value, min), max))
}

function encodeBigIntegers(dtype: DType, values: ArrayLike<number>): TypedArray {
  const [min, max] = dtype === 'int64' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n]
  const stored = dtype === 'int64' ? new BigInt64Array(values.length) : new BigUint64Array(values.length)
  for (let i = 0; i < values.length; i++) stored[i] = saturateBig(values[i] as number, min, max)
  return stored
}

function saturateBig(value: number, min: bigint, max: bigint): bigint {
  if (Number.isNaN(value)) return 0n
  if (value >= Number(max)) return max
  if (value <= Number(min)) return min
  return BigInt(roundHalfEven(value))
}
