/** Bit patterns of IEEE 754 binary16 and of bfloat16, the upper half of a binary32. */

const WORD = new Float32Array(1)
const WORD_BITS = new Uint32Array(WORD.buffer)

let halfTable: Float32Array | undefined

/** Value of each of the 65,536 float16 patterns: a look-up beats arithmetic on millions of weights. */
function float16Table(): Float32Array {
  halfTable ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => float16Value(bits))
  return halfTable
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const mantissa = bits & 0x3ff
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25)
}

export function decodeFloat16(bits: Uint16Array, out: Float64Array): void {
  const table = float16Table()
  for (let i = 0; i < out.length; i++) out[i] = table[bits[i] as number] as number
}

export function decodeBfloat16(bits: Uint16Array, out: Float64Array): void {
  for (let i = 0; i < out.length; i++) {
    WORD_BITS[0] = (bits[i] as number) << 16
    out[i] = WORD[0] as number
  }
}

/** Rounds to nearest even, straight from double precision; 65520 and above become infinite. */
export function encodeFloat16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, float16Bits)
}

const SMALLEST_NORMAL = 2 ** -14

function float16Bits(value: number): number {
  const magnitude = Math.abs(value)
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  if (Number.isNaN(magnitude)) return 0x7e00
  if (magnitude >= 65520) return sign | 0x7c00
  // Adding 2^52 units in the last place lets the addition round to a whole number of units.
  if (magnitude < SMALLEST_NORMAL) return sign | (magnitude * 2 ** 24 + 2 ** 52 - 2 ** 52)
  const shift = 2 ** 42 * binade(magnitude)
  WORD[0] = magnitude + shift - shift
  return sign | (((WORD_BITS[0] as number) - (112 << 23)) >>> 13)
}

/** Rounds to nearest even, straight from double precision; what exceeds the largest number becomes infinite. */
export function encodeBfloat16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(values, bfloat16Bits)
}

function bfloat16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0
  const magnitude = Math.abs(value)
  // 2^-126 is the smallest normal number; below it the unit stays 2^-133.
  const shift = 2 ** 45 * binade(Math.max(magnitude, 2 ** -126))
  WORD[0] = magnitude < 2 ** 128 ? magnitude + shift - shift : magnitude
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  return sign | ((WORD_BITS[0] as number) >>> 16)
}

const LONG = new Float64Array(1)
const LONG_BITS = new Uint32Array(LONG.buffer)

/** The power of two at or below a positive, normal double. */
export function binade(value: number): number {
  LONG[0] = value
  LONG_BITS[0] = 0
  LONG_BITS[1] = (LONG_BITS[1] as number) & 0x7ff00000
  return LONG[0] as number
}

/** Floor of the base-2 logarithm of a positive, normal double. */
export function exponentOf(value: number): number {
  LONG[0] = value
  return ((LONG_BITS[1] as number) >>> 20) - 1023
}
