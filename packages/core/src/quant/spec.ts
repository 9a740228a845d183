import type { DType } from '../util/index.ts'

export type Granularity =
  | { readonly kind: 'tensor' }
  | { readonly kind: 'channel'; readonly axis: number }
  | { readonly kind: 'group'; readonly axis: number; readonly size: number }

export const perTensor = (): Granularity => ({ kind: 'tensor' })
export const perChannel = (axis: number): Granularity => ({ kind: 'channel', axis })
export const perGroup = (size: number, axis: number): Granularity => ({ kind: 'group', axis, size })

/** How one tensor is quantized; JSON. `q = clip(round(x / scale) + zeroPoint, quantMin, quantMax)`. */
export interface QuantSpec {
  readonly bits: number
  readonly signed: boolean
  /** Zero point fixed: 0 when signed, the middle or 0 (non-negative data) when unsigned. */
  readonly symmetric: boolean
  readonly quantMin: number
  readonly quantMax: number
  readonly granularity: Granularity
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

/** The ONNX element type that stores values of this spec. */
export function storageDType(spec: Pick<QuantSpec, 'bits' | 'signed'>): DType {
  const width = spec.bits <= 2 ? 2 : spec.bits <= 4 ? 4 : spec.bits <= 8 ? 8 : spec.bits <= 16 ? 16 : 32
  return `${spec.signed ? '' : 'u'}int${width}` as DType
}
