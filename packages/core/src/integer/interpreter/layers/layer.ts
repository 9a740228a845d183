import type { Node, Tensor } from '../../../ir/index.ts'
import type { Requantizer } from '../../quantizers.ts'
import type { CodeTensor } from '../codes.ts'
import type { Kernels, PairOrder } from '../kernels/kernels.ts'
import type { Grid, Scheme } from '../scheme.ts'

/** What one input of a node is to its kernel. */
export type Operand =
  | { readonly kind: 'codes'; readonly grid: Grid; readonly constant?: CodeTensor }
  | { readonly kind: 'constant'; readonly tensor: Tensor }
  | { readonly kind: 'real' }
  | { readonly kind: 'none' }

/** Where a kernel puts its result: on a grid, cut where a Relu or Clip behind it cuts. */
export interface Result {
  readonly grid: Grid
  readonly min: number
  readonly max: number
}

/** What a layer is built from. */
export interface Site {
  readonly node: Node
  readonly operands: readonly Operand[]
  /** Undefined where the result is not requantized. */
  readonly result: Result | undefined
  readonly requantizer: Requantizer | undefined
  readonly scheme: Scheme
  /** Version of the operators. */
  readonly opset: number
  /** The operator on one real number, where it is a function of one. */
  readonly real: ((x: number) => number) | undefined
}

/** Runs on what changes from run to run, in the order of `Layer.reads`. */
export type RunLayer = (inputs: readonly CodeTensor[], kernels: Kernels) => CodeTensor | Tensor

/** How one node runs in whole numbers. */
export interface Built {
  /** Positions of the inputs that it reads as codes. */
  readonly reads: readonly number[]
  readonly run: RunLayer
  /** Of the result: `input` where codes stay as they are. */
  readonly makes: 'result' | 'input' | 'real'
  /** Which of the node's outputs it makes; the first by default. */
  readonly output?: number
  /** For bounds of sums, and for what is told of the layer. */
  readonly sums?: SumFacts
  readonly notes?: readonly string[]
}

/** Weights of a layer that sums products, as they run. */
export interface SumFacts {
  /** Codes less their zero point, a row for each output channel. */
  readonly weights: Int16Array
  readonly terms: number
  readonly stride: number
  readonly channels: number
  /** With what the input's zero point adds: the sum of raw codes starts here. */
  readonly bias: Int32Array
  /** The bias in steps of the sum, as it was. */
  readonly plainBias: Float64Array
  readonly input: Grid
  /** Subtracted from raw codes before they are multiplied. */
  readonly shift: number
  /** Of its terms, where unsigned codes of 8 bits meet signed weights and x86 kernels add them in pairs. */
  readonly order?: PairOrder
}

/** A builder gives a layer, or one for each output, or the reason why the node has none. */
export type BuildLayer = (site: Site) => Built | readonly Built[] | string
