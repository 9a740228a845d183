/** Typed arrays that a tensor's storage can be read through. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

export interface TypedArrayConstructor<T extends TypedArray = TypedArray> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): T
  new (length: number): T
}

/**
 * Reads bytes as little-endian elements: a view where the bytes are aligned, a copy where they are not.
 * The only place that touches `.buffer`; `Buffer#slice` being a view makes every other use a trap.
 */
export function viewAs<T extends TypedArray>(bytes: Uint8Array, type: TypedArrayConstructor<T>): T {
  const size = type.BYTES_PER_ELEMENT
  const length = Math.floor(bytes.byteLength / size)
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)
  return new type(aligned.buffer, aligned.byteOffset, length)
}

/** The bytes behind a typed array, as a view. */
export function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.byteLength
  }
  return out
}

const UTF8_ENCODER = new TextEncoder()
const UTF8_DECODER = new TextDecoder()

export const encodeUtf8 = (text: string): Uint8Array => UTF8_ENCODER.encode(text)
export const decodeUtf8 = (bytes: Uint8Array): string => UTF8_DECODER.decode(bytes)
