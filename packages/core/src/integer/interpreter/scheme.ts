import type { DType, QuantizedMultiplier, RoundingMode, ShiftTies } from '../../util/index.ts'

/** What codes stand for: scale · (code − zeroPoint), with codes between min and max. */
export interface Grid {
  readonly dtype: DType
  readonly scale: number
  readonly zeroPoint: number
  readonly min: number
  readonly max: number
}

/** A layer that sums products of codes. */
export interface SumSite {
  readonly opType: string
  readonly depthwise: boolean
  /** Channels in groups of several. */
  readonly grouped: boolean
  /** Number of output channels. */
  readonly channels: number
  readonly input: Grid
  /** One scale for each output channel, or one for all. */
  readonly weightScales: ArrayLike<number>
}

/** Two operands of any layer that meets them element by element. */
export interface PairSite {
  readonly a: Grid
  readonly b: Grid
  readonly output: Grid
}

export interface UnarySite {
  readonly opType: string
  /** Numbers only; of a PRelu `alpha`, and `slope` and `slopeScale` where its slope is codes. */
  readonly attributes: Readonly<Record<string, number>>
  readonly input: Grid
  readonly output: Grid
  /** The operator on one real number, in float64; undefined for Relu and Clip, which cut codes. */
  readonly real: ((x: number) => number) | undefined
}

export interface MeanSite {
  readonly input: Grid
  readonly output: Grid
  /** Elements of each mean. */
  readonly count: number
  /** Over height and width of images, of so many channels. */
  readonly images?: number
}

export interface SoftmaxSite {
  readonly input: Grid
  readonly output: Grid
  /** Elements of each row. */
  readonly length: number
}

/** A biased sum to a code of the result, zero point and all; it may leave the range of codes. */
export interface Requantize {
  (sum: number, channel: number): number
  /** The same as data, for kernels that run outside of JavaScript. */
  readonly rule?: SumRule
}

/** How sums become codes, or real values where there is no rounding. One factor for each channel, or one for all. */
export type SumRule =
  | { readonly kind: 'real'; readonly factors: Float32Array }
  /** By a float32 factor, in float32, rounded half to even. */
  | { readonly kind: 'factor'; readonly factors: Float32Array; readonly zeroPoint: number }
  /** By two factors, one after the other; half is added in float32, and digits are cut off. */
  | {
      readonly kind: 'two-factors'
      readonly factors: Float32Array
      readonly inverse: number
      readonly zeroPoint: number
    }
  /** By a factor that keeps the product exact. */
  | {
      readonly kind: 'exact'
      readonly factors: Float64Array
      readonly rounding: RoundingMode
      readonly zeroPoint: number
    }
  | { readonly kind: 'fixed'; readonly factors: readonly FixedFactor[]; readonly zeroPoint: number }

/** A multiplier of 31 bits and a shift: rounded once, or after each, the second time with halves up or away from zero. */
export interface FixedFactor extends QuantizedMultiplier {
  readonly ties: ShiftTies | 'once'
}
/** Two raw codes to a raw code, which may leave the range. */
export type Combine = (a: number, b: number) => number
/** Raw codes of a window, of which the first `count` are set, by a divisor that may be greater, to a raw code. */
export type Average = (codes: Int32Array, count: number, divisor: number, channel: number) => number
/** One row of raw codes to another, in range. */
export type SoftmaxRow = (codes: Int32Array, out: Int32Array) => void

/**
 * The arithmetic of one kind of hardware: how it brings sums, products and codes to another grid. What a scheme leaves out, it has no
 * integer kernel for. Every method computes once what is known before deployment, and returns what runs on whole numbers, or the reason
 * why nothing does.
 */
export interface Scheme {
  readonly name: string
  readonly title: string
  readonly summary: string
  /** Whose documentation or kernels say so. */
  readonly source: string
  /** How this hardware's quantizers round, where codes enter. */
  readonly rounding: RoundingMode
  /** `int32`: biases are codes on the scale of their sum. `real`: they are added unrounded. */
  readonly bias: 'int32' | 'real'
  /** Neighbouring products are added in 16 bits that saturate. */
  readonly pairs?: true
  /** Operators that it leaves to float, though they might run in integers, with the reason. */
  readonly declines?: (opType: string, output: Grid | undefined) => string | undefined
  sums(site: SumSite, output: Grid): Requantize | string
  /** Sums to real values, where nobody requantizes them. */
  real?(site: SumSite): Requantize | undefined
  add?(site: PairSite, sign: 1 | -1): Combine | string
  mul?(site: PairSite): Combine | string
  average?(site: Omit<MeanSite, 'count'>): Average | string
  /** The sum of raw codes to a raw code. */
  mean?(site: MeanSite): Requantize | string
  /** Codes of one grid to those of another. */
  rescale(from: Grid, to: Grid): (code: number) => number
  unary?(site: UnarySite): ((code: number) => number) | undefined
  softmax?(site: SoftmaxSite): SoftmaxRow
}
