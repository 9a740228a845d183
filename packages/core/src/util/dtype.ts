import type { TypedArray, TypedArrayConstructor } from './bytes.ts'

interface DTypeInfo {
  /** Number in `onnx.TensorProto.DataType`. */
  readonly onnx: number
  /** Bits per element in `raw_data`; 0 where elements have no fixed size. */
  readonly bits: number
  readonly kind: 'float' | 'int' | 'bool' | 'complex' | 'string'
  /** Array that holds the stored bits; 16-bit floats as their bit patterns, sub-byte types as packed bytes. */
  readonly storage: TypedArrayConstructor | null
}

const dtype = (
  onnx: number,
  bits: number,
  kind: DTypeInfo['kind'],
  storage: TypedArrayConstructor | null,
): DTypeInfo => ({ onnx, bits, kind, storage })

/** Every element type of the ONNX enumeration (onnx.proto3, `TensorProto.DataType`). */
export const DTYPES = {
  float32: dtype(1, 32, 'float', Float32Array),
  uint8: dtype(2, 8, 'int', Uint8Array),
  int8: dtype(3, 8, 'int', Int8Array),
  uint16: dtype(4, 16, 'int', Uint16Array),
  int16: dtype(5, 16, 'int', Int16Array),
  int32: dtype(6, 32, 'int', Int32Array),
  int64: dtype(7, 64, 'int', BigInt64Array),
  string: dtype(8, 0, 'string', null),
  bool: dtype(9, 8, 'bool', Uint8Array),
  float16: dtype(10, 16, 'float', Uint16Array),
  float64: dtype(11, 64, 'float', Float64Array),
  uint32: dtype(12, 32, 'int', Uint32Array),
  uint64: dtype(13, 64, 'int', BigUint64Array),
  complex64: dtype(14, 64, 'complex', Float32Array),
  complex128: dtype(15, 128, 'complex', Float64Array),
  bfloat16: dtype(16, 16, 'float', Uint16Array),
  float8e4m3fn: dtype(17, 8, 'float', Uint8Array),
  float8e4m3fnuz: dtype(18, 8, 'float', Uint8Array),
  float8e5m2: dtype(19, 8, 'float', Uint8Array),
  float8e5m2fnuz: dtype(20, 8, 'float', Uint8Array),
  uint4: dtype(21, 4, 'int', Uint8Array),
  int4: dtype(22, 4, 'int', Uint8Array),
  float4e2m1: dtype(23, 4, 'float', Uint8Array),
  float8e8m0: dtype(24, 8, 'float', Uint8Array),
  uint2: dtype(25, 2, 'int', Uint8Array),
  int2: dtype(26, 2, 'int', Uint8Array),
} as const satisfies Record<string, DTypeInfo>

export type DType = keyof typeof DTYPES

const BY_ONNX = new Map<number, DType>(Object.entries(DTYPES).map(([name, info]) => [info.onnx, name as DType]))

export const dtypeInfo = (dtype: DType): DTypeInfo => DTYPES[dtype]
export const dtypeFromOnnx = (code: number): DType | undefined => BY_ONNX.get(code)
export const dtypeToOnnx = (dtype: DType): number => DTYPES[dtype].onnx
export const isFloat = (dtype: DType): boolean => DTYPES[dtype].kind === 'float'
export const isInteger = (dtype: DType): boolean => DTYPES[dtype].kind === 'int'

/** Bytes that `count` elements take in `raw_data`; sub-byte elements are packed and the last byte padded. */
export function byteLength(dtype: DType, count: number): number {
  return Math.ceil((DTYPES[dtype].bits * count) / 8)
}

/** Inclusive range of an integer type that fits a JavaScript number exactly. */
export function integerRange(dtype: DType): { min: number; max: number } | undefined {
  const info = DTYPES[dtype]
  if (info.kind !== 'int' || info.bits > 32) return undefined
  const signed = !dtype.startsWith('u')
  return signed ? { min: -(2 ** (info.bits - 1)), max: 2 ** (info.bits - 1) - 1 } : { min: 0, max: 2 ** info.bits - 1 }
}

export type { TypedArray }
