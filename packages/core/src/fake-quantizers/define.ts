import type { Attribute, Shape, Tensor, Value } from '../ir/index.ts'
import type { OpDef } from '../ops/index.ts'
import type { FormatOf, NodeSink, QuantParams, QuantSpec, Target } from '../quant/index.ts'
import type { OptionSpec, OptionsOf } from '../util/index.ts'

/** Domain of the operators that fake-quantizers are. */
export const QAT_DOMAIN = 'fewbit.qat'

export type QuantizerRole = 'weight' | 'activation'

/** What one fake-quantizer begins with. */
export interface QuantizerContext {
  readonly role: QuantizerRole
  readonly spec: QuantSpec
  /** What an observer found; its spec is `spec`. */
  readonly params: QuantParams
  /** Of what is quantized. Open dimensions are allowed, where scales are per channel the rank must be known. */
  readonly shape: Shape | undefined
  /** Of weights: the elements, row-major. */
  readonly values?: Float32Array
}

/** A further input of a fake-quantizer's operator, behind what is quantized. */
export interface QuantizerInput {
  readonly name: string
  /** What training begins with; broadcasts to what is quantized ([] or [C, 1, 1]), unless the quantizer says otherwise. */
  readonly initial: Tensor
  /** Gradients change it. Otherwise it stays as it begins. */
  readonly trained: boolean
  /** Weight decay applies to it: the rule says that it should become small. */
  readonly decays?: true
  /**
   * The operator reads this input rounded to so many times a power of two, the nearest by its logarithm; gradients pass the rounding. What is
   * given to the functions below is rounded already.
   */
  readonly powerOfTwo?: number
  /** No parameter: numbers uniform in [0, 1) of the shape of what is quantized, new in each step. `initial` is what evaluation takes. */
  readonly random?: true
}

/** A call of a fake-quantizer's operator. */
export interface QuantizerCall {
  readonly op: OpDef
  /** In the operator's order, from its input 1 on. */
  readonly inputs: readonly QuantizerInput[]
  /** Of the network in the form in which it is evaluated and saved. */
  readonly attributes: Readonly<Record<string, Attribute>>
  /** Attributes that are others in the form in which it trains. */
  readonly training?: Readonly<Record<string, Attribute>>
}

/** Trained inputs by name. */
export type QuantizerState = Readonly<Record<string, Tensor>>

/** A weight to be deployed, row-major. */
export interface WeightValues {
  readonly values: Float32Array
  readonly dims: readonly number[]
}

/**
 * A rule that quantizes in the forward pass and lets gradients through in the backward pass. It is an operator of domain `fewbit.qat`, whose
 * `body` is an ONNX function, so that every engine runs it, and whose `grad` is the published backward rule; and it says how its parameters
 * begin, and what is deployed in the end.
 *
 * What it promises: its operator computes what `fakeQuantize` makes of `deployedWeights` (or of its input) with `toParams`, within the
 * rounding of float32, so that the network that was trained is the network that is deployed.
 */
export interface FakeQuantizer<O extends object = object> {
  readonly name: string
  readonly title: string
  readonly summary: string
  /** Paper or document. */
  readonly source: string
  readonly options: OptionsOf<O>
  readonly roles: readonly QuantizerRole[]
  /** Name of the fake-quantizer for the roles, and for the specs, that this one is not for; default `lsq`. */
  readonly partner?: string
  /** Name of the observer whose ranges the scales of weights should begin with; default the run's own. Activations begin with the run's. */
  readonly weightObserver?: string
  /** The same where weights have a zero point; default `weightObserver`. */
  readonly affineWeightObserver?: string
  /** Quantizes to the levels of the spec's format, where others need evenly spaced integers. */
  readonly levels?: true
  /**
   * Of one that quantizes to levels: those that it takes where a target holds any format. Where layers at the ends of a network keep integers all
   * the same, the partner stands.
   */
  readonly formatOf?: FormatOf
  /** Every operator that `init` may call. */
  readonly ops: readonly OpDef[]
  /**
   * Why what this makes cannot be held by a target, or not with this spec; undefined if it can. Generic obstacles (`obstacleOf`)
   * are asked before.
   */
  obstacle?(spec: QuantSpec, target: Target, options: O): string | undefined
  init(cx: QuantizerContext, options: O): QuantizerCall
  /** Scale and zero point that are deployed. `state` holds every input of the call. */
  toParams(spec: QuantSpec, state: QuantizerState, options: O): QuantParams
  /**
   * Writes the scale of `toParams` from the inputs of a call, which are initializers, in their shape: what biases are rounded to. Default: the
   * magnitude of the input `scale`.
   */
  writeScale?(sink: NodeSink, inputs: Readonly<Record<string, Value>>, spec: QuantSpec, options: O): Value
  /** Writes the zero point of `toParams`, a whole number, in the same way. Default: the input `zero_point`, rounded and clipped to codes. */
  writeZeroPoint?(sink: NodeSink, inputs: Readonly<Record<string, Value>>, spec: QuantSpec, options: O): Value
  /** Weights that are stored in place of the trained ones, where the rule does more than to round: rounding them by `toParams` deploys them. */
  deployedWeights?(weights: WeightValues, spec: QuantSpec, state: QuantizerState, options: O): Float32Array
}

// Options differ from one to the next; what is called is checked against `options` before.
export type AnyFakeQuantizer = Omit<FakeQuantizer<never>, 'options'> & {
  readonly options: Readonly<Record<string, OptionSpec>>
}

/** Fake-quantizers by name: the built-in ones, or those with what plugins add. */
export type FakeQuantizers = Readonly<Record<string, AnyFakeQuantizer>>
