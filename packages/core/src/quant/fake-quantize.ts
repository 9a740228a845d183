import { type DType, invariant, problem, ROUND } from '../util/index.ts'
import type { ScaleZero } from './affine.ts'
import { forEachRun } from './granularity.ts'
import { type QuantParams, type QuantSpec, storageDType } from './spec.ts'

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
 * Codes: q = clip(R(x / scale) + zeroPoint, quantMin, quantMax), with the division in float32 as ONNX Runtime's QuantizeLinear
 * does it (onnx.ai, QuantizeLinear-21). The spec may say x · fround(1 / scale) instead of the quotient, R(… + zeroPoint) instead of
 * the sum outside, and which rounding R is. Infinities saturate; NaN gives code 0 and is the caller's to refuse.
 * @param values row-major, of shape `dims`; `dims` may be left out for per-tensor parameters.
 * @param noise uniform in [0, 1), for stochastic rounding only; repeated where it is shorter than the values, as for each sample of
 * a batch.
 */
export function quantize(
  values: ArrayLike<number>,
  params: QuantParams,
  dims: readonly number[] = [values.length],
  noise?: ArrayLike<number>,
): Codes {
  invariant(noise?.length || params.spec.rounding !== 'stochastic', () => 'stochastic rounding without noise')
  const out = newCodes(params.spec, values.length)
  forEachRun(dims, params.spec.granularity, (start, end, p) => {
    quantizeRun({ values, out, start, end }, params.spec, scaleZero(params, p), noise)
  })
  return out
}

/** x = (q − zeroPoint) · scale in float32: ONNX Runtime's DequantizeLinear. */
export function dequantize(
  codes: ArrayLike<number>,
  params: QuantParams,
  dims: readonly number[] = [codes.length],
): Float32Array {
  const out = new Float32Array(codes.length)
  forEachRun(dims, params.spec.granularity, (start, end, p) => {
    const { scale, zeroPoint } = scaleZero(params, p)
    for (let i = start; i < end; i++) out[i] = ((codes[i] as number) - zeroPoint) * scale
  })
  return out
}

/** What is left of the values after a round trip through their codes. Arguments as for `quantize`. */
export function fakeQuantize(
  values: ArrayLike<number>,
  params: QuantParams,
  dims: readonly number[] = [values.length],
  noise?: ArrayLike<number>,
): Float32Array {
  return dequantize(quantize(values, params, dims, noise), params, dims)
}

interface Run {
  readonly values: ArrayLike<number>
  readonly out: Codes
  readonly start: number
  readonly end: number
}

function quantizeRun(
  { values, out, start, end }: Run,
  { quantMin, quantMax, rounding = 'half-even', reciprocal, addThenRound }: QuantSpec,
  { scale, zeroPoint }: ScaleZero,
  noise: ArrayLike<number> = [0],
): void {
  const round = ROUND[rounding]
  const factor = Math.fround(1 / scale)
  const inside = addThenRound ? zeroPoint : 0
  const outside = zeroPoint - inside
  for (let i = start; i < end; i++) {
    const x = values[i] as number
    // Two float32 numbers combined in double and rounded once more give the correctly rounded float32 result.
    const steps = Math.fround(reciprocal ? x * factor : x / scale)
    const code = round(Math.fround(steps + inside), noise[i % noise.length] as number) + outside
    out[i] = Math.min(Math.max(code, quantMin), quantMax)
  }
}

const scaleZero = ({ scale, zeroPoint }: QuantParams, p: number): ScaleZero => ({
  scale: scale[p] as number,
  zeroPoint: zeroPoint[p] as number,
})
