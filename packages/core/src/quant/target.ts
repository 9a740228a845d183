import type { DType, RoundingMode } from '../util/index.ts'
import type { Granularity, LogRounding, NumberFormat } from './spec.ts'

/** The part of a spec that a backend fixes; granularity axes are filled in by the planner per operator. */
export interface TensorRule {
  readonly bits: number
  readonly signed: boolean
  readonly symmetric: boolean
  /** Leaves the lowest code of a signed range unused: -127…127. */
  readonly narrow?: boolean
  /** Lowest and highest code, where a backend uses fewer than its type holds: −64…63, ±31. */
  readonly codes?: readonly [number, number]
  /** `codes` choose the scale only, and the backend saturates at the ends of its type (PyTorch's `reduce_range`). */
  readonly headroom?: true
  readonly bothEnds?: true
  readonly granularity: Granularity['kind']
  readonly powerOfTwo?: LogRounding
  /** Of values to codes, where it differs from the target's. */
  readonly rounding?: RoundingMode
  readonly format?: NumberFormat
}

export interface ActivationRule extends TensorRule {
  /** Values that are never negative get unsigned codes, although others are signed. */
  readonly unsignedWherePossible?: true
}

/** Absent on a target: biases stay in float. */
export interface BiasRule {
  readonly bits: number
  /** `product` (default): scale(input) · scale(weight), the accumulator's grid. `own`: a scale of its own, read off the constant. */
  readonly scale?: 'product' | 'own'
  readonly powerOfTwo?: LogRounding
}

/**
 * How the scales around a node are made equal. `input`: outputs take the scale of input 0. `large`: all data inputs share the union of
 * their ranges. `output`: inputs and output take the range of the output. `none`: each has its own.
 */
export type Alignment = 'none' | 'input' | 'large' | 'output'

/** What a backend does with one operator type. */
export interface OpRule {
  /**
   * `integer`: has an integer kernel. `pass`: moves data, so it follows its neighbours' scale. `weights`: computes in float with a weight
   * that may be stored as integers. `float`: no kernel.
   */
  readonly mode: 'integer' | 'pass' | 'weights' | 'float'
  /** Which tensors share one scale where nothing is lost by it: input 0 with every output, or all data inputs with the output. */
  readonly share?: 'input0' | 'all-inputs'
  /** Which tensors must share one scale, because the kernel cannot convert. */
  readonly align?: Alignment
  /** The kernel can hand over float, so that its output need not be quantized. */
  readonly floatOutput?: boolean
  /** The kernel takes a second operand that is not constant in the place of the weight. */
  readonly dynamicWeight?: boolean
  /** Only where both operands are computed: with a constant one the node is a bias or a factor, which the backend adds in float. */
  readonly computedOperands?: boolean
  /**
   * Only where its operands are codes without it, and a node that sums products reads the result (`product`) or none does
   * (`no-product`): the backend learns scales from such nodes alone.
   */
  readonly readBy?: 'product' | 'no-product'
  /** Weights of any other rank get one scale per tensor. */
  readonly perChannelRank?: number
  /** Weight axis with a scale each, where the backend does not mean the output channels. */
  readonly channelAxis?: number
  /**
   * Fewer channels than these make the integer kernel slower than the float one. It still runs in integers between integer
   * neighbours, where going back to float would cost more.
   */
  readonly minChannels?: { readonly inputs: number; readonly outputs: number }
  /** Attribute values that the rule holds for; any other value keeps the node in float. */
  readonly attrs?: Readonly<Record<string, readonly (number | string)[]>>
  readonly weights?: Partial<TensorRule>
  /** Weights of Conv nodes with these kernel shapes, strides 1, no dilation and one group (ncnn's Winograd convolutions). */
  readonly weightsOf?: { readonly kernel: readonly number[]; readonly rule: Partial<TensorRule> }
  readonly activations?: Partial<TensorRule>
  /**
   * The range of the result is the backend's constant, whatever was measured (TFLite: Softmax 0…1 by 1/256). Scale and zero point
   * are those at the target's own bits; at others the interval of a code is cut or joined: 1/256 at 8 bits is 1/65536 at 16.
   */
  readonly fixedOutput?: { readonly scale: number; readonly zeroPoint: number }
  /** For `float`: why there is no kernel. */
  readonly why?: string
}

/** Operators that one kernel runs together: quantizers stand around the group, not inside. */
export interface FusePattern {
  readonly name: string
  readonly hosts: readonly string[]
  /**
   * What follows the host: an activation by its type, `Swish` (x·Sigmoid(x)), `Mish`, `HardSwish` and `Gelu` as one operator or
   * decomposed, and `Add`, whose other operand is a quantized input of the group.
   */
  readonly chain: readonly string[]
  /** Which of two hosts that meet in an `Add` takes it: the one that is computed last (default), or the first operand. */
  readonly branch?: 'last' | 'first-operand'
  /**
   * How the kernel applies a Relu or Clip. `codes`: the result's codes end where it clips. `accumulator`: before the result is
   * requantized, whatever its bounds.
   */
  readonly clips?: 'codes' | 'accumulator'
}

/**
 * Who is quantized. `neighbours`: what sums products, and lighter operators only between integer ones. `conservative`: downstream of
 * what sums products, until an operator without a kernel. `aggressive`: the same, looking through operators without kernels.
 * `conv-to-conv`: what lies between two that sum products. `listed`: every operator with a kernel.
 */
export type Dispatch = (typeof DISPATCHES)[number]

export const DISPATCHES = ['neighbours', 'conservative', 'aggressive', 'conv-to-conv', 'listed'] as const

/** A backend as data. See docs/targets for the source of each table. */
export interface Target {
  readonly name: string
  readonly title: string
  readonly source: string
  /**
   * How the table was checked. `engine`: the backend itself ran the artefacts in `npm run test:backends`. `documentation`: read off the
   * vendor's documents or source. `literature`: read off papers and the tools that quantized for it.
   */
  readonly evidence?: 'engine' | 'documentation' | 'literature'
  readonly activations: ActivationRule
  readonly weights: TensorRule
  readonly bias?: BiasRule
  /**
   * Bit widths that schemes may ask for. Activation codes are clipped by the backend, so that only the widths of its types
   * will do; weight codes are clipped before they are stored.
   */
  readonly bits: { readonly weights: readonly number[]; readonly activations: readonly number[] }
  /** Storage types that integer kernels take; anything else is computed in float between quantizers. */
  readonly kernels: {
    readonly activations: readonly DType[]
    readonly weights: readonly DType[]
    /** Operands of one node may be of different types: uint8 + int8. */
    readonly mixed?: true
  }
  readonly rounding: RoundingMode
  /** The backend multiplies by 1/scale. */
  readonly reciprocal?: true
  readonly addThenRound?: true
  /**
   * Where quantizers stand. `both` (default): at what integer kernels read, and at what they make unless they can hand over float.
   * `inputs`: at what they read only. `outputs`: at all that they make, and where float values enter.
   */
  readonly points?: 'both' | 'inputs' | 'outputs'
  /** Default `neighbours`. */
  readonly dispatch?: Dispatch
  /** What this backend is mostly asked for; default `w8a8`. */
  readonly defaultScheme?: string
  /** Passes that run before planning, for networks with operators that the backend has in another form only. */
  readonly rewrites?: readonly string[]
  /** By operator type; operators of other domains as `domain::Type`. Types that are missing stay float. */
  readonly ops: Readonly<Record<string, OpRule>>
  readonly fuse: readonly FusePattern[]
  /**
   * `none`: the backend runs integers only, so that no node that it knows is left in float for accuracy's sake.
   */
  readonly fallback?: 'none'
  /** Constant operands of additions and the like stay in float, because the backend's file has no place for their scale. */
  readonly constants?: 'float'
  /** `drop`: no quantizer behind a node that moves codes, since its result is on the grid already. Default `keep`. */
  readonly repeats?: 'drop'
  /** First and last node that sum products, weights and inputs, at this width whatever the scheme (academic setting). */
  readonly edgeBits?: number
  /** Networks that are trained with BatchNormalization of its own behind quantized layers keep it when they are deployed. Absent: it is folded. */
  readonly batchNorm?: 'separate'
  /**
   * `any`: nothing runs this, so that tensors may have other number formats than integers where a method asks for them. The first and the last
   * node that sum products keep integers where they have bits of their own.
   */
  readonly formats?: 'any'
  readonly minOpset: number
  /** The engine that is this backend: what is measured on it is what is deployed. Others are simulated. */
  readonly engine?: 'onnxruntime'
  /** Forms that the backend reads, the first by default. */
  readonly exporters: readonly string[]
}
