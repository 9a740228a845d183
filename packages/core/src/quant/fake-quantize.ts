import { type DType, encodeUtf8, invariant, problem, ROUND, rng } from '../util/index.ts'
import type { ScaleZero } from './affine.ts'
import { gridOf, levelIndex } from './formats/index.ts'
import { forEachRun } from './granularity.ts'
import { type NumberFormat, type QuantParams, type QuantSpec, storageDType } from './spec.ts'

/** Codes, one element each: sub-byte codes are not packed. Of formats: bit patterns, or indices of levels. */
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
  float8e4m3fn: Uint8Array,
  float8e5m2: Uint8Array,
  float4e2m1: Uint8Array,
}

const newCodes = (spec: QuantSpec, length: number): Codes => {
  const type = CODE_ARRAYS[storageDType(spec)]
  if (!type) throw problem('QUANT_BITS', `${spec.bits}-bit codes have no integer type`)
  return new type(length)
}

/**
 * Codes: q = clip(R(x / scale) + zeroPoint, quantMin, quantMax), with the division in float32 as ONNX Runtime's QuantizeLinear
 * does it (onnx.ai, QuantizeLinear-21). The spec may say x · fround(1 / scale) instead of the quotient, R(… + zeroPoint) instead of
 * the sum outside, and which rounding R is. With a format: the code of the nearest number to x / scale (`formats`). Infinities
 * saturate. NaN has no code: it gives 0, of a format the lowest number, and is the caller's to refuse.
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
    const run = { values, out, start, end }
    const at = scaleZero(params, p)
    if (params.spec.format) quantizeToLevels(run, params.spec, at.scale, params.spec.format)
    else quantizeRun(run, params.spec, at, noise)
  })
  return out
}

/** x = (q − zeroPoint) · scale in float32: ONNX Runtime's DequantizeLinear; of a format, the code's number times scale. */
export function dequantize(
  codes: ArrayLike<number>,
  params: QuantParams,
  dims: readonly number[] = [codes.length],
): Float32Array {
  const out = new Float32Array(codes.length)
  forEachRun(dims, params.spec.granularity, (start, end, p) => {
    const { scale, zeroPoint } = scaleZero(params, p)
    const grid = params.spec.format && gridOf(params.spec.format, scale)
    const unit = grid?.absolute ? 1 : scale
    for (let i = start; i < end; i++) {
      const code = codes[i] as number
      out[i] = (grid ? (grid.values[code] as number) : code - zeroPoint) * unit
    }
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

/**
 * Uniform numbers in [0, 1) of 24 bits, exact in float32, for the stochastic rounding of a tensor: the same for the same name and seed.
 */
export function roundingNoise(name: string, length: number, seed: number): Float32Array {
  let hash = 0x811c9dc5 ^ seed
  for (const byte of encodeUtf8(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  const random = rng(hash)
  return Float32Array.from({ length }, () => random.int(2 ** 24) / 2 ** 24)
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

function quantizeToLevels(
  { values, out, start, end }: Run,
  { reciprocal }: QuantSpec,
  scale: number,
  format: NumberFormat,
): void {
  const grid = gridOf(format, scale)
  const unit = grid.absolute ? 1 : scale
  const factor = Math.fround(1 / unit)
  for (let i = start; i < end; i++) {
    const x = values[i] as number
    out[i] = grid.codes[levelIndex(grid, Math.fround(reciprocal ? x * factor : x / unit))] as number
  }
}

const scaleZero = ({ scale, zeroPoint }: QuantParams, p: number): ScaleZero => ({
  scale: scale[p] as number,
  zeroPoint: zeroPoint[p] as number,
})
