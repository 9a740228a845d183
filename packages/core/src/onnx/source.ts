import { problem } from '../util/index.ts'

/** Random-access bytes: a file, a blob or memory. Synchronous, so that a tensor can be looked at without ceremony. */
export interface ByteSource {
  /** Total number of bytes. */
  readonly size: number
  /**
   * Exactly `length` bytes from `offset`; the caller keeps within `size` and must not write to them.
   * A view where the source is in memory, a fresh copy otherwise.
   */
  read(offset: number, length: number): Uint8Array
}

/** Where an encoder puts bytes. A chunk is only valid during the call: its buffer is reused. */
export interface ByteSink {
  write(chunk: Uint8Array): void
}

/** Where a tensor's bytes live. Reading may go to disk each time; nothing is cached. */
export interface TensorSource {
  readonly byteLength: number
  read(): Uint8Array
  /** Part of the bytes, for copying without holding the whole tensor. */
  readRange?(offset: number, length: number): Uint8Array
  /** Set where the bytes are a range of a file other than the model's own. */
  readonly external?: { readonly location: string; readonly offset: number }
}

/** Bytes in memory; every read is a view. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.byteLength, read: (offset, length) => bytes.subarray(offset, offset + length) }
}

/** A tensor's bytes in memory. */
export function memoryTensor(bytes: Uint8Array): TensorSource {
  return {
    byteLength: bytes.byteLength,
    read: () => bytes,
    readRange: (offset, length) => bytes.subarray(offset, offset + length),
  }
}

/** A tensor's bytes as a range of a file, read when asked for. */
export function fileRange(source: ByteSource, start: number, byteLength: number): TensorSource {
  return {
    byteLength,
    read: () => source.read(start, byteLength),
    readRange: (offset, length) => source.read(start + offset, length),
  }
}

const COPY_CHUNK = 1 << 20

/** Sends all bytes of a tensor to a sink, a mebibyte at a time where the tensor can be read in parts. */
export function copyTensor(source: TensorSource, sink: ByteSink): void {
  const { byteLength } = source
  const step = source.readRange ? COPY_CHUNK : byteLength
  for (let offset = 0; offset < byteLength; offset += step) {
    const length = Math.min(step, byteLength - offset)
    sink.write(expectLength(source.readRange?.(offset, length) ?? source.read(), length))
  }
}

function expectLength(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.byteLength === length) return bytes
  throw problem('ONNX_TENSOR_SIZE', `a tensor promised ${length} bytes and gave ${bytes.byteLength}`)
}
