import { type DType, problem, roundHalfEven, type TypedArray } from '../util/index.ts'
import { forEachRun } from './granularity.ts'
import { type QuantParams, type QuantSpec, type Range, storageDType } from './spec.ts'

/** Scale and zero point of one tensor, channel or group. */
export interface ScaleZero {
  /** A float32 number, normal and positive. */
  readonly scale: number
  readonly zeroPoint: number
}

/**
 * Smallest scale handed out: 2^-63. The product of two such scales, which is the scale of a bias, is still a normal float32;
 * kernels flush smaller ones to zero.
 */
const MIN_SCALE = 2 ** -63

/** The range widened to hold zero, which must be exact: padding, ReLU and zero bias rely on it. */
export const withZero = (range: Range): Range => ({ lo: Math.min(range.lo, 0), hi: Math.max(range.hi, 0) })

/**
 * Scale and zero point that cover a range, zero exact.
 *
 * Affine: scale = (hi − lo) / (qmax − qmin), zeroPoint = clip(qmin − rne(lo / scale)).
 * Symmetric: scale = max(−lo, hi) / ((qmax − qmin) / 2), zero point in the middle: max/127.5 for −128…127, max/127 for
 * −127…127. Every value of the range then lies within half a step of a code, and no smaller scale has that property;
 * max/qmax would keep the positive end exact at the price of a coarser grid (7 % at 4 bits, 50 % at 2), and a target that
 * wants both ends exact asks for the narrow range. Symmetric, unsigned and lo ≥ 0: scale = hi / (qmax − qmin), zero point qmin.
 *
 * The scale is rounded to float32 before the zero point is computed, as the kernels will see it. An empty range gets scale 1.
 * @throws FewbitError QUANT_RANGE if an end is not finite or lo > hi.
 */
export function paramsFromRange(range: Range, spec: QuantSpec): ScaleZero {
  if (!Number.isFinite(range.lo) || !Number.isFinite(range.hi) || range.lo > range.hi) {
    throw problem('QUANT_RANGE', `[${range.lo}, ${range.hi}] is not a range that can be quantized`)
  }
  const { lo, hi } = withZero(range)
  const { quantMin, quantMax, symmetric } = spec
  const levels = quantMax - quantMin
  if (!symmetric) {
    const scale = float32Scale((hi - lo) / levels)
    return { scale, zeroPoint: clip(quantMin - roundHalfEven(lo / scale), quantMin, quantMax) }
  }
  if (!spec.signed && lo === 0) return { scale: float32Scale(hi / levels), zeroPoint: quantMin }
  return { scale: float32Scale(Math.max(-lo, hi) / (levels / 2)), zeroPoint: symmetricZero(spec) }
}

/** 0 for signed codes, the upper middle (128 of 0…255) for unsigned ones. */
export const symmetricZero = (spec: Pick<QuantSpec, 'signed' | 'quantMin' | 'quantMax'>): number =>
  spec.signed ? 0 : Math.ceil((spec.quantMin + spec.quantMax) / 2)

/** The interval between the lowest and the highest code. */
export function coveredRange({ scale, zeroPoint }: ScaleZero, spec: QuantSpec): Range {
  return { lo: (spec.quantMin - zeroPoint) * scale, hi: (spec.quantMax - zeroPoint) * scale }
}

function float32Scale(exact: number): number {
  return exact === 0 ? 1 : Math.fround(Math.max(exact, MIN_SCALE))
}

const clip = (x: number, lo: number, hi: number): number => Math.min(Math.max(x, lo), hi)

/** Integer codes, one element each: sub-byte codes are not packed. */
export type Codes = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array

const CODE_ARRAYS: Partial<Record<DType, new (length: number) => Codes>> = {
  int2: Int8Array,
  uint2: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
}

const newCodes = (spec: QuantSpec, length: number): Codes => {
  const type = CODE_ARRAYS[storageDType(spec)]
  if (!type) throw problem('QUANT_BITS', `${spec.bits}-bit codes have no integer type`)
  return new type(length)
}

/**
 * q = clip(rne(x / scale) + zeroPoint, quantMin, quantMax), with the division in float32 as ONNX Runtime's QuantizeLinear
 * does it (onnx.ai, QuantizeLinear-21). Infinities saturate; NaN gives code 0 and is the caller's to refuse.
 * @param values row-major, of shape `dims`; `dims` may be left out for per-tensor parameters.
 */
export function quantize(values: ArrayLike<number>, params: QuantParams, dims = [values.length]): Codes {
  const out = newCodes(params.spec, values.length)
  forEachRun(dims, params.spec.granularity, (start, end, p) => {
    quantizeRun(values, out, start, end, params.spec, at(params, p))
  })
  return out
}

/** x = (q − zeroPoint) · scale in float32: ONNX Runtime's DequantizeLinear. */
export function dequantize(codes: ArrayLike<number>, params: QuantParams, dims = [codes.length]): Float32Array {
  const out = new Float32Array(codes.length)
  forEachRun(dims, params.spec.granularity, (start, end, p) => {
    const { scale, zeroPoint } = at(params, p)
    for (let i = start; i < end; i++) out[i] = ((codes[i] as number) - zeroPoint) * scale
  })
  return out
}

/** What is left of the values after a round trip through their codes. */
export function fakeQuantize(values: ArrayLike<number>, params: QuantParams, dims = [values.length]): Float32Array {
  return dequantize(quantize(values, params, dims), params, dims)
}

function quantizeRun(
  values: ArrayLike<number>,
  out: TypedArray,
  start: number,
  end: number,
  { quantMin, quantMax }: QuantSpec,
  { scale, zeroPoint }: ScaleZero,
): void {
  for (let i = start; i < end; i++) {
    // Two float32 numbers divided in double and rounded once more give the correctly rounded float32 quotient.
    const steps = roundHalfEven(Math.fround((values[i] as number) / scale))
    out[i] = clip(steps + zeroPoint, quantMin, quantMax)
  }
}

const at = (params: QuantParams, i: number): ScaleZero => ({
  scale: params.scale[i] as number,
  zeroPoint: params.zeroPoint[i] as number,
})
