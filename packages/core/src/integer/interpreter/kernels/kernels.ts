import type { CodeArray } from '../codes.ts'
import type { SumRule } from '../scheme.ts'
import type { Window2 } from '../window.ts'

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

/** A layer that sums products over windows, from its codes to its result. */
export interface SumJob {
  readonly codes: CodeArray
  readonly samples: number
  readonly group: number
  /** Input channels of one group. */
  readonly inputs: number
  readonly window: Window2
  /** Subtracted from every code, so that it fits 16 bits. */
  readonly shift: number
  /** Code of what is not there. */
  readonly fill: number
  /** A row of `stride` for each output channel, of which the first `terms` count. */
  readonly weights: Int16Array
  readonly terms: number
  readonly stride: number
  readonly channels: number
  readonly bias: Int32Array
  /** Added to the biased sum in float32. */
  readonly fractions?: Float32Array | undefined
  /** Given where neighbours are added in 16 bits that saturate. */
  readonly order?: PairOrder | undefined
  readonly rule: SumRule
  readonly min: number
  readonly max: number
  /** Results of one position stand side by side, instead of those of one channel. */
  readonly channelsLast: boolean
  readonly out: CodeArray | Float32Array
}

/** Planes of codes, and windows of which each sees something. */
export interface GreatestJob {
  readonly codes: CodeArray
  readonly planes: number
  readonly window: Window2
  readonly out: CodeArray
}

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
  /** Runs all of a layer. @returns false where these kernels do not run it, and nothing was done. */
  sums?(job: SumJob): boolean
  /** The greatest code under each window. @returns false where these kernels do not run it, and nothing was done. */
  greatest?(job: GreatestJob): boolean
  mark(): number
  /** Gives back all room that was asked for since the mark. */
  release(mark: number): void
  /** Ends threads, where there are any. */
  close?(): Promise<void>
}
