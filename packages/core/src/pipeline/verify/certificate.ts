import type { Difference } from '../../analysis/index.ts'
import type { Diagnostic } from '../../util/index.ts'
import type { LayerDifference, Parting, SampleDifference } from '../compare/index.ts'

/** What an engine makes of one model, beside the reference. JSON. */
export interface Outcome {
  /**
   * `same`: the reference's codes everywhere, floats to rounding. `rounding`: outputs differ, but every node by itself is within its bound, so
   * that single codes add up. `differs`: one node is not. `failed`: the engine does not run it.
   */
  readonly verdict: 'same' | 'rounding' | 'differs' | 'failed'
  /** Of all outputs on all samples. */
  readonly outputs?: Difference
  readonly worst?: SampleDifference
  /** The first node that differs by more than it may. */
  readonly parting?: Parting
  /** Why the node could not be looked for, where outputs differ: the engine does not run parts of the network. */
  readonly unlocated?: string
  /** On request. */
  readonly layers?: readonly LayerDifference[]
  /** Of one sample. */
  readonly seconds?: number
  readonly failure?: { readonly code: string; readonly message: string; readonly cause?: string }
}

export interface EngineOutcome {
  readonly name: string
  readonly library: string
  readonly version: string
  readonly float: Outcome
  readonly quantized: Outcome
}

export interface CertifiedModel {
  readonly name: string
  /** SHA-256 of the file. */
  readonly digest: string
}

/** What engines make of a float and a quantized network on the same data. JSON. */
export interface Certificate {
  readonly format: 'fewbit-certificate'
  readonly version: 1
  readonly versions: { readonly fewbit: string }
  readonly models: { readonly float: CertifiedModel; readonly quantized: CertifiedModel }
  readonly data: {
    readonly name: string
    readonly samples: number
    /** SHA-256 of the tensors: names, types, shapes and bytes. */
    readonly digest: string
    readonly synthetic: boolean
  }
  /** Name of the engine that the others are held against. */
  readonly reference: string
  /** The quantized network against the float one, both on the reference. */
  readonly fidelity: { readonly sqnr: number; readonly agreement?: number }
  readonly engines: readonly EngineOutcome[]
  readonly verdict: 'agree' | 'disagree'
  readonly command?: string
  readonly diagnostics: readonly Diagnostic[]
}
