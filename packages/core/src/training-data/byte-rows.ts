import { invariant, must } from '../util/index.ts'

/** Memory is taken in pieces of about this size, so that growing copies nothing. */
const PIECE = 2 ** 24

/** Rows of bytes of one length, in memory. */
export class ByteRows {
  readonly rowBytes: number
  readonly #rowsPerPiece: number
  readonly #pieces: Uint8Array[] = []
  #count = 0

  constructor(rowBytes: number) {
    this.rowBytes = rowBytes
    this.#rowsPerPiece = Math.max(1, Math.floor(PIECE / Math.max(1, rowBytes)))
  }

  get count(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#count * this.rowBytes
  }

  push(row: Uint8Array): void {
    invariant(row.byteLength === this.rowBytes, () => `a row of ${row.byteLength} bytes among rows of ${this.rowBytes}`)
    const at = this.#count % this.#rowsPerPiece
    if (at === 0) this.#pieces.push(new Uint8Array(this.#rowsPerPiece * this.rowBytes))
    must(this.#pieces.at(-1), 'piece').set(row, at * this.rowBytes)
    this.#count++
  }

  /** A view, not to be written to. It starts at a multiple of the row's length. */
  row(i: number): Uint8Array {
    const piece = must(this.#pieces[Math.floor(i / this.#rowsPerPiece)], `row ${i}`)
    const start = (i % this.#rowsPerPiece) * this.rowBytes
    return piece.subarray(start, start + this.rowBytes)
  }
}
