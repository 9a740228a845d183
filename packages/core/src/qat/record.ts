import type { Tensor } from '../ir/index.ts'
import type { QuantPlan, QuantSpec, Target } from '../quant/index.ts'
import type { Parameter } from '../training/index.ts'

/** A BatchNormalization behind a layer that it is folded into when the network is deployed. All by name, of initializers mostly. */
export interface NormRecord {
  readonly layer: string
  readonly norm: string
  /** What the layer makes and the normalization reads, where both stand. */
  readonly between: string
  readonly weight: string
  /** Absent: the layer has none of its own. */
  readonly bias?: string
  /** Name of the bias in the deployed network, which folding gives to every layer. */
  readonly deployedBias: string
  readonly scale: string
  readonly offset: string
  readonly mean: string
  readonly variance: string
  readonly epsilon: number
  /** ONNX's: the share of the running statistics that stays in a step. */
  readonly momentum: number
}

/** A bias that is rounded to the codes of scale(input) · scale(weight). */
export interface BiasRecord {
  readonly layer: string
  readonly value: string
  /** Groups of fake-quantizers, whose scales these are. */
  readonly input: string
  readonly weight: string
}

/**
 * A node that stands in the evaluated form as the backend's kernel computes it, on codes, and what it reads and makes where it stands in
 * real values. All by name.
 */
export interface KernelRecord {
  readonly node: string
  /** '' for an optional input that is left out. */
  readonly inputs: readonly string[]
  readonly output: string
}

/** A named fake-quantizer with its options. */
export interface QuantizerChoice {
  readonly name: string
  readonly options: Readonly<Record<string, number | string | boolean>>
}

/** An input of a fake-quantizer's operator and the initializer that holds it. */
export interface QuantizerInputRecord {
  readonly name: string
  readonly initializer: string
  /** Gradients change it. */
  readonly trained: boolean
  readonly decays?: true
  /** The operator reads it rounded to so many times a power of two. */
  readonly powerOfTwo?: number
  /** Uniform numbers, new in each step of training. */
  readonly random?: true
}

/** Where a fake-quantizer stands. A group of values that share a scale has one for each. */
export interface QuantizerSite {
  /** Value of the deployed network. */
  readonly value: string
  /** Of the node, while the fake-quantizer is on. */
  readonly node: string
}

/** `ema`: r ← m·r + (1 − m)·batch, of least and greatest element. `minmax`: the least and the greatest of all batches. */
export type RangeObserver = { readonly kind: 'ema'; readonly momentum: number } | { readonly kind: 'minmax' }

/** The fake-quantizers of one group of the plan, which share their parameters. */
export interface QuantizerRecord {
  readonly group: string
  /** `operand`: a constant in the codes of what it is added to or multiplied with. */
  readonly role: 'activation' | 'weight' | 'bias' | 'fill' | 'operand'
  readonly spec: QuantSpec
  readonly quantizer: QuantizerChoice
  /** Operator of the nodes, of domain `fewbit.qat`, and its attributes. */
  readonly opType: string
  readonly attributes: Readonly<Record<string, AttributeRecord>>
  /** Attributes that are others while training. */
  readonly trainingAttributes?: Readonly<Record<string, AttributeRecord>>
  /** In the order of the operator's inputs behind x. */
  readonly inputs: readonly QuantizerInputRecord[]
  /** Off: values pass as they are. */
  readonly enabled: boolean
  /** While training, ranges follow what passes: those of weights their least and greatest element, those of activations as this says. */
  readonly observer: RangeObserver | null
  /** While training, parameters stay as they are. */
  readonly frozen: boolean
  readonly sites: readonly QuantizerSite[]
}

/** An attribute as JSON. */
export type AttributeRecord =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }

/** Everything that training and converting need to know of a network with fake-quantizers beside its graph. JSON, in its metadata. */
export interface QFloatRecord {
  readonly format: 'fewbit-qfloat'
  readonly version: 1
  readonly target: string
  readonly scheme: string
  readonly seed: number
  readonly batchNorm: string
  readonly plan: QuantPlan
  readonly norms: readonly NormRecord[]
  readonly quantizers: readonly QuantizerRecord[]
  /** Where biases are on the accumulator's grid in the form that is evaluated, but for layers on codes. Training leaves them as they are. */
  readonly biases: readonly BiasRecord[]
  /** Whose integer kernels the form that is evaluated follows to the bit. Absent: the backend is simulated in float. */
  readonly engine?: Target['engine']
  /** Where it does. Absent: nowhere. */
  readonly kernels?: readonly KernelRecord[]
  /** Parameters of fake-quantizers that are off, whose nodes are not there to read them. */
  readonly held: Readonly<Record<string, { readonly dims: readonly number[]; readonly values: readonly number[] }>>
  /** What is trained beside quantizers, by initializer. */
  readonly parameters: readonly Parameter[]
  /** Settings, data and versions of the preparation. */
  readonly recipe: Readonly<Record<string, unknown>>
}

/** Contents of initializers by name. */
export type State = ReadonlyMap<string, Tensor>

/** `evaluation`: what is saved, evaluated and deployed. `training`: BatchNormalization as the strategy trains it. */
export type Form = 'evaluation' | 'training'
