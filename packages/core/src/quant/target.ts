import type { Granularity } from './spec.ts'

/** The part of a spec that a backend fixes; granularity axes are filled in by the planner per operator. */
export interface TensorRule {
  readonly bits: number
  readonly signed: boolean
  readonly symmetric: boolean
  /** Leaves the lowest code of a signed range unused: -127…127. */
  readonly narrow?: boolean
  readonly granularity: Granularity['kind']
}

/** What a backend does with one operator type. */
export interface OpRule {
  /** `integer`: has an integer kernel. `pass`: moves data, so it follows its neighbours' scale. `float`: no kernel. */
  readonly mode: 'integer' | 'pass' | 'float'
  /** Input positions whose tensors share the output's scale. */
  readonly share?: 'input0' | 'all-inputs'
  readonly weights?: Partial<TensorRule>
  readonly activations?: Partial<TensorRule>
  readonly why?: string
}

/** A backend as data. See docs/targets for the source of each table. */
export interface Target {
  readonly name: string
  readonly title: string
  readonly source: string
  readonly activations: TensorRule
  readonly weights: TensorRule
  readonly bias: { readonly bits: number }
  readonly rounding: 'half-even' | 'half-away' | 'half-up'
  readonly ops: Readonly<Record<string, OpRule>>
  /** Activation types that kernels absorb from the node before: producer type → activation types. */
  readonly fuse: Readonly<Record<string, readonly string[]>>
  readonly minOpset: number
  readonly exporters: readonly string[]
}
