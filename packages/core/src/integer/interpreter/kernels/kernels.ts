/** 16-bit numbers behind one another in rows, each padded with zeros to a multiple of `LANES`. */
export interface Rows {
  readonly data: Int16Array
  readonly count: number
  /** Elements from one row to the next. */
  readonly stride: number
}

/** Elements that one vector instruction takes. */
export const LANES = 8

export const paddedLength = (length: number): number => Math.ceil(length / LANES) * LANES

/** Where in a row the terms of a sum stand, in the order in which neighbours are added in 16 bits. */
export type PairOrder = Int32Array

/** The loops that take nearly all time. One implementation is plain, the other runs in WebAssembly; results are equal. */
export interface Kernels {
  readonly name: string
  /** Room for rows, zeroed; good until released. */
  rows(count: number, length: number): Rows
  /**
   * out[i · b.count + j] = Σ a_i · b_j, in wrapping int32. Good until released, or room is asked for again.
   * @param order for kernels that add neighbours in 16 bits; exact ones need none.
   */
  dots(a: Rows, b: Rows, order?: PairOrder): Int32Array
  mark(): number
  /** Gives back all room that was asked for since the mark. */
  release(mark: number): void
}
