import { binade, exponentOf } from './float16.ts'

/**
 * Floats of four and eight bits: sign, exponent, mantissa.
 * Sources: OCP Microscaling Formats 1.0 (E4M3FN, E5M2, E2M1, E8M0), arXiv:2206.02915 (the FNUZ variants), and ONNX's
 * Cast operator for what becomes of values that a format does not have.
 */
interface Minifloat {
  readonly bits: number
  readonly mantissa: number
  readonly bias: number
  /** Largest finite pattern without its sign. */
  readonly largest: number
  /** Pattern that NaN becomes: negative zero in E2M1, which has no NaN. */
  readonly nan: number
  /** FN: patterns above the largest are NaN. IEEE: infinity, then NaN. FNUZ: negative zero's pattern is the only NaN. */
  readonly specials: 'fn' | 'ieee' | 'fnuz' | 'none'
}

const format = (
  bits: number,
  mantissa: number,
  bias: number,
  largest: number,
  nan: number,
  specials: Minifloat['specials'],
): Minifloat => ({ bits, mantissa, bias, largest, nan, specials })

const MINIFLOATS = {
  float8e4m3fn: format(8, 3, 7, 0x7e, 0x7f, 'fn'),
  float8e4m3fnuz: format(8, 3, 8, 0x7f, 0x80, 'fnuz'),
  float8e5m2: format(8, 2, 15, 0x7b, 0x7e, 'ieee'),
  float8e5m2fnuz: format(8, 2, 16, 0x7f, 0x80, 'fnuz'),
  float4e2m1: format(4, 1, 1, 0x7, 0x8, 'none'),
} as const satisfies Record<string, Minifloat>

export type MinifloatName = keyof typeof MINIFLOATS

export const isMinifloat = (dtype: string): dtype is MinifloatName => Object.hasOwn(MINIFLOATS, dtype)

const TABLES = new Map<MinifloatName, Float64Array>()

/** The value of every pattern. */
export function minifloatTable(name: MinifloatName): Float64Array {
  let table = TABLES.get(name)
  if (!table) {
    const spec = MINIFLOATS[name]
    table = Float64Array.from({ length: 1 << spec.bits }, (_, pattern) => patternValue(spec, pattern))
    TABLES.set(name, table)
  }
  return table
}

function patternValue({ bits, mantissa, bias, largest, specials }: Minifloat, pattern: number): number {
  const signBit = 1 << (bits - 1)
  const magnitude = pattern & (signBit - 1)
  const sign = pattern & signBit ? -1 : 1
  if (specials === 'fnuz' && pattern === signBit) return Number.NaN
  if (magnitude > largest) {
    return specials === 'ieee' && magnitude === largest + 1 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  }
  const exponent = magnitude >> mantissa
  const fraction = magnitude & ((1 << mantissa) - 1)
  const significand = exponent === 0 ? fraction : fraction + (1 << mantissa)
  return sign * significand * 2 ** (Math.max(exponent, 1) - bias - mantissa)
}

/** Patterns, one a byte. Rounds to nearest even and saturates, infinities included, as ONNX's Cast does by default. */
export function encodeMinifloats(name: MinifloatName, values: ArrayLike<number>): Uint8Array {
  const spec = MINIFLOATS[name]
  return Uint8Array.from(values, (value) => patternOf(spec, value))
}

function patternOf(spec: Minifloat, value: number): number {
  if (Number.isNaN(value)) return spec.nan
  const pattern = magnitudePattern(spec, Math.abs(value))
  const isNegative = value < 0 || Object.is(value, -0)
  if (!isNegative || (pattern === 0 && spec.specials === 'fnuz')) return pattern
  return pattern | (1 << (spec.bits - 1))
}

/** Patterns count units in the last place, so that rounding up into the next binade needs no case of its own. */
function magnitudePattern({ mantissa, bias, largest }: Minifloat, magnitude: number): number {
  if (magnitude >= 2 ** 20) return largest
  const smallest = 1 - bias
  const base = Math.max(magnitude, 2 ** smallest)
  const units = (magnitude / binade(base)) * 2 ** mantissa + 2 ** 52 - 2 ** 52
  return Math.min(units + ((exponentOf(base) - smallest) << mantissa), largest)
}

const E8M0_NAN = 0xff

/** Powers of two from 2^-127 to 2^127 without sign: the scales of the microscaling formats. */
export const decodeE8m0 = (pattern: number): number => (pattern === E8M0_NAN ? Number.NaN : 2 ** (pattern - 127))

/**
 * Rounds up to a power of two, which is the default of ONNX's Cast: a scale that is too small would clip. Saturates;
 * NaN and negative values, which the format does not have, become NaN.
 */
export function encodeE8m0(value: number): number {
  if (!(value >= 0)) return E8M0_NAN
  if (value <= 2 ** -127) return 0
  if (value >= 2 ** 127) return 0xfe
  return exponentOf(value) + 127 + (value > binade(value) ? 1 : 0)
}
