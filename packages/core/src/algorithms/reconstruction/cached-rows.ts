import { Tensor } from '../../ir/index.ts'
import { concatBytes, must } from '../../util/index.ts'

/** One value's data of many samples, one after the other. */
export class CachedRows {
  readonly count: number
  /** Of one sample. */
  readonly dims: readonly number[]
  readonly #all: Tensor

  /** @param parts of equal shapes but for axis 0, which counts samples. */
  constructor(parts: readonly Tensor[]) {
    const { dtype, dims } = must(parts[0], 'data')
    this.dims = dims.slice(1)
    this.count = parts.reduce((n, part) => n + (part.dims[0] as number), 0)
    this.#all = Tensor.fromBytes(dtype, [this.count, ...this.dims], concatBytes(parts.map((part) => part.bytes())))
  }

  /** The samples at these positions, as one batch. */
  batch(rows: readonly number[]): Tensor {
    const from = this.#all.bytes()
    const size = from.length / this.count
    const to = new Uint8Array(rows.length * size)
    for (const [i, row] of rows.entries()) to.set(from.subarray(row * size, (row + 1) * size), i * size)
    return Tensor.fromBytes(this.#all.dtype, [rows.length, ...this.dims], to)
  }

  all(): Tensor {
    return this.#all
  }
}
