import type { TensorSource } from '../onnx/source.ts'
import {
  byteLength,
  bytesOf,
  type DType,
  decodeNumbers,
  dtypeInfo,
  encodeNumbers,
  problem,
  type TypedArray,
  viewAs,
} from '../util/index.ts'

export type { TensorSource }

/**
 * An immutable n-dimensional array in ONNX's layout: row-major, little-endian, sub-byte types packed low bits first.
 * Bytes are read when asked for, so that looking at a shape never loads a weight.
 */
export class Tensor {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly source: TensorSource
  readonly #strings: readonly Uint8Array[] | undefined

  constructor(dtype: DType, dims: readonly number[], source: TensorSource, strings?: readonly Uint8Array[]) {
    this.dtype = dtype
    this.dims = dims
    this.source = source
    this.#strings = strings
  }

  /**
   * A tensor over existing bytes (`raw_data` layout).
   * @throws FewbitError TENSOR_SIZE if the byte count does not fit dtype and dims.
   */
  static fromBytes(dtype: DType, dims: readonly number[], bytes: Uint8Array): Tensor {
    const expected = byteLength(
      dtype,
      dims.reduce((n, d) => n * d, 1),
    )
    if (bytes.byteLength !== expected) {
      const shape = `${dtype}[${dims.join(',')}]`
      throw problem('TENSOR_SIZE', `a tensor ${shape} takes ${expected} bytes, but ${bytes.byteLength} are given`)
    }
    return new Tensor(dtype, dims, { byteLength: bytes.byteLength, read: () => bytes })
  }

  /** A tensor over a typed array of the storage type of `dtype` (float16: bit patterns; sub-byte: packed bytes). */
  static fromStorage(dtype: DType, dims: readonly number[], storage: TypedArray): Tensor {
    return Tensor.fromBytes(dtype, dims, bytesOf(storage))
  }

  static float32(dims: readonly number[], values: ArrayLike<number>): Tensor {
    return Tensor.fromStorage('float32', dims, values instanceof Float32Array ? values : Float32Array.from(values))
  }

  static int64(dims: readonly number[], values: Iterable<number | bigint>): Tensor {
    return Tensor.fromStorage('int64', dims, BigInt64Array.from(values, BigInt))
  }

  /** Encodes numbers as any numeric dtype. Integers saturate and round half to even; floats round to nearest even. */
  static fromNumbers(dtype: DType, dims: readonly number[], values: ArrayLike<number>): Tensor {
    return Tensor.fromStorage(dtype, dims, encodeNumbers(dtype, values))
  }

  static strings(dims: readonly number[], values: readonly Uint8Array[]): Tensor {
    return new Tensor('string', dims, { byteLength: 0, read: () => new Uint8Array() }, values)
  }

  /** Number of elements. */
  get size(): number {
    return this.dims.reduce((n, d) => n * d, 1)
  }

  get byteLength(): number {
    return this.source.byteLength
  }

  /** The raw bytes. Callers must not write to them. */
  bytes(): Uint8Array {
    return this.source.read()
  }

  /** Elements as stored: `DTYPES[dtype].storage` over the bytes. */
  storage(): TypedArray {
    const type = dtypeInfo(this.dtype).storage
    if (!type) throw problem('TENSOR_DTYPE', `a ${this.dtype} tensor has no numeric storage`)
    return viewAs(this.bytes(), type)
  }

  /** Elements as numbers: Float32Array as is for float32, Float64Array for every other numeric type. */
  numbers(): Float32Array | Float64Array {
    if (this.dtype === 'float32') return viewAs(this.bytes(), Float32Array)
    return decodeNumbers(this.dtype, this.bytes(), this.size)
  }

  /** Elements of an integer tensor, exact up to 2^53: the form that shape arithmetic wants. */
  integers(): number[] {
    return Array.from(this.numbers())
  }

  stringBytes(): readonly Uint8Array[] {
    return this.#strings ?? []
  }

  /** The same elements under other dims of equal size. */
  reshape(dims: readonly number[]): Tensor {
    return new Tensor(this.dtype, dims, this.source, this.#strings)
  }
}
