import { type Place, problem } from '../util/index.ts'
import type { ByteSource } from './source.ts'

const WINDOW = 1 << 16
const COPY_BELOW = 4096
const DAMAGED = 'check that the file is an ONNX model and was copied completely'

/** Reads protobuf primitives from a source through a window, so that a file is never loaded as a whole. */
export class Cursor {
  readonly source: ByteSource
  position = 0
  /** End of the message being read; no read goes past it. */
  limit: number
  /** Low and high half of the last varint, both unsigned. */
  low = 0
  high = 0
  readonly #place: () => Place
  #window: Uint8Array = new Uint8Array()
  #start = 0

  constructor(source: ByteSource, place: () => Place) {
    this.source = source
    this.limit = source.size
    this.#place = place
  }

  /** The error for bytes that are not a model, with the byte that it was noticed at. */
  fail(code: string, message: string): Error {
    return problem(code, message, { at: { ...this.#place(), byte: this.position }, fix: DAMAGED })
  }

  byte(): number {
    if (this.position >= this.limit) throw this.fail('ONNX_TRUNCATED', 'the data ends in the middle of a field')
    const index = this.position - this.#start
    const value = this.#window[index]
    if (value === undefined || index < 0) return this.#refill()
    this.position++
    return value
  }

  /** Leaves the value in `low` and `high`. */
  varint(): void {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte()
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else high |= bits << (shift - 32)
      if (byte < 0x80) {
        this.low = low >>> 0
        this.high = high >>> 0
        return
      }
    }
    throw this.fail('ONNX_VARINT', 'a number takes more than ten bytes')
  }

  tag(): { number: number; wire: number } {
    this.varint()
    const number = this.low >>> 3
    if (this.high !== 0 || number === 0) throw this.fail('ONNX_TAG', 'this is not a protobuf field')
    return { number, wire: this.low & 7 }
  }

  /** A length prefix, checked against what remains before anybody allocates for it. */
  length(): number {
    this.varint()
    const length = this.high * 2 ** 32 + this.low
    if (length > this.limit - this.position) {
      throw this.fail(
        'ONNX_TRUNCATED',
        `a field of ${length} bytes is announced, but only ${this.limit - this.position} remain`,
      )
    }
    return length
  }

  /** `length` bytes that the caller may keep. */
  bytes(length: number): Uint8Array {
    if (length >= COPY_BELOW) {
      const start = this.position
      this.skip(length)
      return this.source.read(start, length)
    }
    return this.view(length).slice()
  }

  /** `length` bytes, to be used at once: a large window must not be kept alive by a small view. */
  view(length: number): Uint8Array {
    const start = this.position
    this.skip(length)
    const index = start - this.#start
    if (index >= 0 && index + length <= this.#window.byteLength) return this.#window.subarray(index, index + length)
    if (length >= COPY_BELOW) return this.source.read(start, length)
    this.#load(start)
    return this.#window.subarray(0, length)
  }

  skip(length: number): void {
    if (length > this.limit - this.position) {
      throw this.fail('ONNX_TRUNCATED', 'the data ends in the middle of a field')
    }
    this.position += length
  }

  #refill(): number {
    this.#load(this.position)
    this.position++
    return this.#window[0] as number
  }

  #load(start: number): void {
    this.#window = this.source.read(start, Math.min(WINDOW, this.source.size - start))
    this.#start = start
  }
}
