import type { ByteSink } from './source.ts'
import { writeVarint } from './varints.ts'

const BUFFER = 1 << 16
const LONGEST_VARINT = 10

/** Collects small writes into chunks for a sink; large blocks pass through uncopied. */
export class Writer implements ByteSink {
  readonly #sink: ByteSink
  readonly #buffer = new Uint8Array(BUFFER)
  readonly #view = new DataView(this.#buffer.buffer)
  #used = 0
  #flushed = 0

  constructor(sink: ByteSink) {
    this.#sink = sink
  }

  /** Bytes written so far. */
  get position(): number {
    return this.#flushed + this.#used
  }

  varint(low: number, high = 0): void {
    this.#reserve(LONGEST_VARINT)
    this.#used = writeVarint(this.#buffer, this.#used, low, high)
  }

  float(value: number): void {
    this.#reserve(4)
    this.#view.setFloat32(this.#used, value, true)
    this.#used += 4
  }

  double(value: number): void {
    this.#reserve(8)
    this.#view.setFloat64(this.#used, value, true)
    this.#used += 8
  }

  write(bytes: Uint8Array): void {
    if (bytes.byteLength < BUFFER / 2) {
      this.#reserve(bytes.byteLength)
      this.#buffer.set(bytes, this.#used)
      this.#used += bytes.byteLength
      return
    }
    this.flush()
    this.#sink.write(bytes)
    this.#flushed += bytes.byteLength
  }

  flush(): void {
    if (this.#used > 0) this.#sink.write(this.#buffer.subarray(0, this.#used))
    this.#flushed += this.#used
    this.#used = 0
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > BUFFER) this.flush()
  }
}
