import type { Override } from './plan.ts'
import type { NumberFormat } from './spec.ts'
import type { Dispatch } from './target.ts'

/** The number format of tensors of so many bits; undefined leaves them integers. */
export type FormatOf = (bits: number, sign: { readonly signed: boolean }) => NumberFormat | undefined

/** What stands for integers, by role. */
export interface Formats {
  readonly weights?: FormatOf
  readonly activations?: FormatOf
}

export interface PlannerOptions {
  /** Default the target's, which is `w8a8` mostly. */
  readonly scheme?: string
  /** One scale for each weight tensor instead of one for each output channel. */
  readonly perTensor?: boolean
  /** Codes of activations; default the target's. */
  readonly activations?: 'signed' | 'unsigned'
  /** Chooses the ranges of activations; default `minmax`. */
  readonly observer?: string
  /** Observers of single values by name, for a search that tries them: `name` or `name:option=number,…`. */
  readonly observers?: Readonly<Record<string, string>>
  /** Chooses the ranges of weights; default `minmax`. */
  readonly weightObserver?: string
  readonly overrides?: readonly Override[]
  /**
   * `float` leaves layers at the input in float whose channels are too few for the target's integer kernels to be faster.
   * Default `integer`.
   */
  readonly smallLayers?: 'float' | 'integer'
  /** Who is quantized; default the target's habit. */
  readonly dispatch?: Dispatch
  /**
   * Behind the last products: `float` (default, except on targets that run integers only) leaves class probabilities and the decoding
   * of boxes in float.
   */
  readonly tails?: 'float' | 'quantize'
  /** Bits of the first and the last node that sum products, whatever the scheme; default the target's. */
  readonly edgeBits?: number
  /** In place of integers, but not at the first and the last node that sum products, where these have bits of their own. */
  readonly formats?: Formats
  /** Operator types to leave in float. */
  readonly floatOps?: readonly string[]
  /** Names of nodes to leave in float. Keeping more nodes in float never quantizes a further operator. */
  readonly floatNodes?: readonly string[]
}
