import type { Diagnostic } from '../util/index.ts'
import type { Granularity, QuantParams, QuantSpec, Range } from './spec.ts'

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
  /** All elements are elements of another value of the same group, which is measured in its place. */
  | { readonly kind: 'follow'; readonly value: string }
  /** Read off the constant. */
  | { readonly kind: 'weight'; readonly observer: string }
  /** Bias: scale = scale(input) · scale(weight), zero point 0. `input` and `weight` are groups. */
  | { readonly kind: 'bias'; readonly input: string; readonly weight: string }
  /** Given with the plan: the file that it was read off holds the parameters. */
  | { readonly kind: 'imported' }

/** One quantized tensor. Tensors with the same `group` share one scale and zero point. */
export interface TensorPlan {
  /** Value name. A constant that nodes need in different forms has one entry for each form, in groups of its own. */
  readonly value: string
  /** `fill`: a constant in units of its node's data input, on whose scale it is. */
  readonly role: 'activation' | 'weight' | 'bias' | 'fill'
  readonly spec: QuantSpec
  readonly source: ParamSource
  /** Name of the sharing group, the key of its parameters. */
  readonly group: string
  /** Nodes that read the quantized tensor; every other reader keeps the float one. */
  readonly readers: readonly string[]
  /** The graph output of this name is the dequantized tensor, because its producer's kernel hands over codes only. */
  readonly graphOutput?: true
  /** Bounds that the values never leave. The codes must not reach beyond them, or the kernel cannot absorb a Relu or Clip. */
  readonly within?: { readonly lo?: number; readonly hi?: number }
  readonly reason: Reason
}

export interface NodePlan {
  readonly node: string
  readonly opType: string
  /**
   * `integer`: the backend runs it on integer codes. `fused`: absorbed into the integer node before it. `quantized`: its
   * tensors are quantized, but the backend computes in float between quantizers. `float`: untouched.
   */
  readonly decision: 'integer' | 'fused' | 'quantized' | 'float'
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

/** Scale and zero point by group name. */
export type ParamsTable = ReadonlyMap<string, QuantParams>

/** A user's exception. All given conditions must hold; later overrides win. */
export interface Override {
  readonly match: {
    readonly name?: RegExp | string
    readonly op?: string
    /** Names of nodes: those that lie on a way from the one to the other, both included; either end may be left open. */
    readonly from?: string
    readonly to?: string
  }
  /** `float` keeps the node out; otherwise a scheme such as `w8a8`. */
  readonly scheme?: string
  readonly observer?: string
  readonly granularity?: Granularity['kind']
}

/** Activation values whose range must be measured, in plan order; the others follow one of them or are fixed. */
export function measuredTensors(plan: QuantPlan): TensorPlan[] {
  return plan.tensors.filter((t) => t.source.kind === 'calibrate')
}

/** Tensors by group, in plan order. */
export function groupsOf(plan: QuantPlan): Map<string, TensorPlan[]> {
  const groups = new Map<string, TensorPlan[]>()
  for (const tensor of plan.tensors) {
    const members = groups.get(tensor.group)
    if (members) members.push(tensor)
    else groups.set(tensor.group, [tensor])
  }
  return groups
}
