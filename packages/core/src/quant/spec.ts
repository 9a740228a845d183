import { type DType, isMinifloat, type RoundingMode } from '../util/index.ts'

export type Granularity =
  | { readonly kind: 'tensor' }
  | { readonly kind: 'channel'; readonly axis: number }
  | { readonly kind: 'group'; readonly axis: number; readonly size: number }

export const perTensor = (): Granularity => ({ kind: 'tensor' })
export const perChannel = (axis: number): Granularity => ({ kind: 'channel', axis })
export const perGroup = (size: number, axis: number): Granularity => ({ kind: 'group', axis, size })

/** How a scale becomes a power of two: its log2 is rounded to the nearest (ties up), up, or down. */
export type LogRounding = 'round' | 'ceil' | 'floor'

/**
 * Numbers other than integers on an even grid. `levels`: x ≈ scale · the nearest of these (APoT, k-means codebooks); `log2`: the
 * sign and a step of 2^(1/16), as NNIE stores them; the others are floating-point formats of the OCP specifications.
 */
export type NumberFormat =
  | { readonly kind: 'float8e4m3fn' | 'float8e5m2' | 'float4e2m1' }
  | { readonly kind: 'log2' }
  | { readonly kind: 'levels'; readonly levels: readonly number[] }

/** How one tensor is quantized; JSON. `q = clip(round(x / scale) + zeroPoint, quantMin, quantMax)`. */
export interface QuantSpec {
  readonly bits: number
  readonly signed: boolean
  /** Zero point fixed: 0 when signed, the middle or 0 (non-negative data) when unsigned. */
  readonly symmetric: boolean
  /** Lowest and highest code; with a format, its lowest and highest number. */
  readonly quantMin: number
  readonly quantMax: number
  readonly granularity: Granularity
  /** Of a signed symmetric spec: no value of the range lies beyond the outermost codes; absent: half a step beyond, at the positive end. */
  readonly bothEnds?: true
  /** Scales are powers of two; absent: any positive float32. */
  readonly powerOfTwo?: LogRounding
  /** Of x / scale to a code; absent: half to even. */
  readonly rounding?: RoundingMode
  /** x is multiplied by the float32 reciprocal of the scale instead of divided by the scale. */
  readonly reciprocal?: true
  /** The zero point is added before rounding: round(x / scale + zeroPoint). Differs on ties, where it is odd. */
  readonly addThenRound?: true
  /** Absent: integers. A format's zero point is 0, and it rounds to the nearest, whatever `rounding` says. */
  readonly format?: NumberFormat
  /** `quantMin` and `quantMax` choose the scale only: the backend saturates at the ends of the type that stores the codes. */
  readonly headroom?: true
}

/** Scale and zero point, one per channel or group; length 1 per tensor. JSON. */
export interface QuantParams {
  readonly spec: QuantSpec
  readonly scale: readonly number[]
  readonly zeroPoint: readonly number[]
}

/** The real interval that quantization must cover. `lo ≤ 0 ≤ hi` once nudged to hold zero. */
export interface Range {
  readonly lo: number
  readonly hi: number
}

/** The ONNX element type that stores codes of this spec: integers, the bit patterns of a floating-point format, or indices of levels. */
export function storageDType({ bits, signed, format }: Pick<QuantSpec, 'bits' | 'signed' | 'format'>): DType {
  if (format && isMinifloat(format.kind)) return format.kind
  const width = bits <= 2 ? 2 : bits <= 4 ? 4 : bits <= 8 ? 8 : bits <= 16 ? 16 : 32
  return `${signed && !format ? '' : 'u'}int${width}` as DType
}
