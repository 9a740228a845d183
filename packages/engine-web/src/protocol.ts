import type { LoadOptions, SessionValue } from '@fewbit/core/engine'
import type { Diagnostic } from '@fewbit/core/util'
import type { TensorHead } from './message.ts'

/** What a program asks of a page. The body is the model, or the tensors. */
export type Order =
  | { readonly kind: 'load'; readonly options: LoadOptions }
  | {
      readonly kind: 'run'
      readonly session: number
      readonly feeds: readonly TensorHead[]
      readonly wanted?: readonly string[]
    }
  | { readonly kind: 'release'; readonly session: number }

/** The first thing that a page says. */
export interface Ready {
  readonly name: string
  readonly version: string
  readonly threads: number
  /** What the WebGPU adapter calls itself. */
  readonly adapter?: string
}

export interface Answer {
  readonly ready?: Ready
  readonly loaded?: {
    readonly session: number
    readonly inputs: readonly SessionValue[]
    readonly outputs: readonly SessionValue[]
  }
  readonly outputs?: readonly TensorHead[]
  readonly error?: readonly Diagnostic[]
}
