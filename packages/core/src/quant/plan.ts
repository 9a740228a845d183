import type { Diagnostic } from '../util/index.ts'
import type { Granularity, QuantSpec, Range } from './spec.ts'

/** Why the planner decided something: a stable code and a sentence that names the rule. */
export interface Reason {
  readonly code: string
  readonly text: string
}

/** Where a tensor's parameters come from. */
export type ParamSource =
  /** Measured on calibration data by this observer. */
  | { readonly kind: 'calibrate'; readonly observer: string; readonly options?: Record<string, unknown> }
  /** Known from the operator (Softmax, Sigmoid). */
  | { readonly kind: 'fixed'; readonly range: Range }
  /** Read off the constant. */
  | { readonly kind: 'weight'; readonly observer: string }
  /** Bias: scale = scale(input) · scale(weight), zero point 0. */
  | { readonly kind: 'bias'; readonly input: string; readonly weight: string }

/** One quantized tensor. Tensors with the same `group` share one scale and zero point. */
export interface TensorPlan {
  /** Value name, unique in the model. */
  readonly value: string
  readonly role: 'activation' | 'weight' | 'bias'
  readonly spec: QuantSpec
  readonly source: ParamSource
  /** Name of the sharing group: the value name of its first member. */
  readonly group: string
  /** Nodes that read the quantized tensor; every other reader keeps the float one. */
  readonly readers: readonly string[]
  readonly reason: Reason
}

export interface NodePlan {
  readonly node: string
  readonly opType: string
  /**
   * `integer`: all data inputs and outputs are quantized, so the backend runs it in integers. `fused`: absorbed into the
   * node before it. `float`: untouched.
   */
  readonly decision: 'integer' | 'fused' | 'float'
  readonly reason: Reason
  /** Multiply-accumulates per sample, where shapes are known. */
  readonly macs?: number
}

/** Who is quantized, how, and who shares: the whole decision as JSON, before anything is measured. */
export interface QuantPlan {
  readonly format: 'fewbit-plan'
  readonly version: 1
  readonly target: string
  readonly scheme: string
  readonly nodes: readonly NodePlan[]
  readonly tensors: readonly TensorPlan[]
  readonly diagnostics: readonly Diagnostic[]
}

/** A user's exception. All given conditions must hold; later overrides win. */
export interface Override {
  readonly match: { readonly name?: RegExp | string; readonly op?: string }
  /** `float` keeps the node out; otherwise a scheme such as `w8a8`. */
  readonly scheme?: string
  readonly observer?: string
  readonly granularity?: Granularity['kind']
}
