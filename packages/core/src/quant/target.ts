import type { DType } from '../util/index.ts'
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
  /** Which tensors share one scale: input 0 with every output, or all data inputs with the output. */
  readonly share?: 'input0' | 'all-inputs'
  /** The kernel can hand over float, so that its output need not be quantized. */
  readonly floatOutput?: boolean
  /** The kernel takes a second operand that is not constant in the place of the weight. */
  readonly dynamicWeight?: boolean
  /** Weights of any other rank get one scale per tensor. */
  readonly perChannelRank?: number
  /**
   * Fewer channels than these make the integer kernel slower than the float one. It still runs in integers between integer
   * neighbours, where going back to float would cost more.
   */
  readonly minChannels?: { readonly inputs: number; readonly outputs: number }
  /** Attribute values that the rule holds for; any other value keeps the node in float. */
  readonly attrs?: Readonly<Record<string, readonly (number | string)[]>>
  readonly weights?: Partial<TensorRule>
  readonly activations?: Partial<TensorRule>
  /** For `float`: why there is no kernel. */
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
  /**
   * Bit widths that schemes may ask for. Activation codes are clipped by the backend, so that only the widths of its types
   * will do; weight codes are clipped before they are stored.
   */
  readonly bits: { readonly weights: readonly number[]; readonly activations: readonly number[] }
  /** Storage types that integer kernels take; anything else is computed in float between quantizers. */
  readonly kernels: { readonly activations: readonly DType[]; readonly weights: readonly DType[] }
  readonly rounding: 'half-even' | 'half-away' | 'half-up'
  /** By operator type; operators of other domains as `domain::Type`. Types that are missing stay float. */
  readonly ops: Readonly<Record<string, OpRule>>
  /** Activation types that kernels absorb from the node before: producer type → activation types. */
  readonly fuse: Readonly<Record<string, readonly string[]>>
  readonly minOpset: number
  readonly exporters: readonly string[]
}
