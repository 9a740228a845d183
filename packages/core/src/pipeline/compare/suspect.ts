import type { Checkpoint, Difference } from '../../analysis/index.ts'
import type { LoadOptions } from '../../engine/index.ts'
import type { SchemeName } from '../../integer/index.ts'
import type { Model, Tensor } from '../../ir/index.ts'

/** A node that differs by more than it may although it was given the same tensors. */
export interface Suspect {
  readonly reference: Tensor
  readonly candidate: Tensor
  readonly point: Checkpoint
  readonly difference: Difference
  /** The quantizer's step, where there is one. */
  readonly step: number | undefined
  /** The part of the network that computes it. */
  readonly part: Model
  /** The same part on the same tensors, optimized in another way. */
  readonly rerun: (side: 'reference' | 'candidate', optimization: LoadOptions['optimization']) => Promise<Tensor>
  /** What the node makes in front of its quantizer, on the same tensors, where no quantizer is fused. */
  readonly unquantized: (side: 'reference' | 'candidate') => Promise<Tensor>
  /** The candidate's part on the same tensors, in an arithmetic of whole numbers. */
  readonly inIntegers: (scheme: SchemeName) => Promise<Tensor>
}

/** Why a node may differ. */
export interface KnownCause {
  readonly name: string
  /** Causes that say more: where one of them fits, this one is not looked for. */
  readonly unless?: readonly string[]
  /** A sentence about the suspect if this is the cause. */
  readonly explain: (suspect: Suspect) => string | undefined | Promise<string | undefined>
}
