import { describe, expect, test } from 'vitest'
import { bytesOf, type DType, decodeNumbers, encodeNumbers, viewAs } from './index.ts'

const decode = (dtype: DType, bytes: Uint8Array, count: number) => [...decodeNumbers(dtype, bytes, count)]
const encode = (dtype: DType, values: number[]) => [...bytesOf(encodeNumbers(dtype, values))]
const codes = (count: number) => Uint8Array.from({ length: count }, (_, i) => i)

/** Value of a pattern by the textbook formula, from its bits as text. */
function textbook(bits: string, exponentBits: number, bias: number): number {
  const exponent = Number.parseInt(bits.slice(1, 1 + exponentBits), 2)
  const fraction = Number.parseInt(bits.slice(1 + exponentBits), 2) / 2 ** (bits.length - 1 - exponentBits)
  const magnitude = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias)
  return bits[0] === '1' ? -magnitude : magnitude
}

interface Format {
  dtype: DType
  bits: number
  exponentBits: number
  bias: number
  /** Patterns that the formula does not describe. */
  special: (pattern: number) => number | undefined
}

const nan = Number.NaN
const FORMATS: Format[] = [
  {
    dtype: 'float8e4m3fn',
    bits: 8,
    exponentBits: 4,
    bias: 7,
    special: (p) => ((p & 0x7f) === 0x7f ? nan : undefined),
  },
  { dtype: 'float8e4m3fnuz', bits: 8, exponentBits: 4, bias: 8, special: (p) => (p === 0x80 ? nan : undefined) },
  {
    dtype: 'float8e5m2',
    bits: 8,
    exponentBits: 5,
    bias: 15,
    special: (p) => ((p & 0x7f) > 0x7c ? nan : (p & 0x7f) === 0x7c ? (p < 128 ? Infinity : -Infinity) : undefined),
  },
  { dtype: 'float8e5m2fnuz', bits: 8, exponentBits: 5, bias: 16, special: (p) => (p === 0x80 ? nan : undefined) },
  {
    dtype: 'float16',
    bits: 16,
    exponentBits: 5,
    bias: 15,
    special: (p) =>
      (p & 0x7fff) > 0x7c00 ? nan : (p & 0x7fff) === 0x7c00 ? (p < 32768 ? Infinity : -Infinity) : undefined,
  },
  {
    dtype: 'bfloat16',
    bits: 16,
    exponentBits: 8,
    bias: 127,
    special: (p) =>
      (p & 0x7fff) > 0x7f80 ? nan : (p & 0x7fff) === 0x7f80 ? (p < 32768 ? Infinity : -Infinity) : undefined,
  },
]

/** Every pattern of a format, as bytes. */
const patterns = (bits: number) => (bits === 8 ? codes(256) : bytesOf(Uint16Array.from({ length: 65536 }, (_, i) => i)))

describe.each(FORMATS)('$dtype', ({ dtype, bits, exponentBits, bias, special }) => {
  const count = 2 ** bits
  const values = decode(dtype, patterns(bits), count)

  test('every pattern has the value of the formula', () => {
    const expected = values.map((_, p) => special(p) ?? textbook(p.toString(2).padStart(bits, '0'), exponentBits, bias))
    expect(values).toEqual(expected)
  })

  test('every number encodes to its own pattern', () => {
    const finite = [...values.keys()].filter((p) => Number.isFinite(values[p]))
    const encoded = encodeNumbers(
      dtype,
      finite.map((p) => values[p] as number),
    )
    expect([...encoded]).toEqual(finite)
  })

  test('between neighbours the nearer one wins, and the even pattern in the middle', () => {
    const last = [...values.keys()].filter((p) => p < count / 2 && Number.isFinite(values[p])).length - 1
    for (let p = 0; p < last; p++) {
      const [a, b] = [values[p] as number, values[p + 1] as number]
      const middle = (a + b) / 2
      const inputs = [middle, middle * (1 - 2 ** -50), middle * (1 + 2 ** -50), -middle]
      const even = p % 2 === 0 ? p : p + 1
      const negative = even === 0 && dtype.endsWith('fnuz') ? 0 : even + count / 2
      expect([...encodeNumbers(dtype, inputs)]).toEqual([even, p, p + 1, negative])
    }
  })
})

describe('values that a float format does not have', () => {
  const inputs = [1e6, -1e6, Infinity, -Infinity, nan, -0, 1e-9, -1e-9]
  // The first row of each follows the ONNX backend cases test_cast_FLOAT_to_*.
  test.each<[DType, number[]]>([
    ['float8e4m3fn', [0x7e, 0xfe, 0x7e, 0xfe, 0x7f, 0x80, 0, 0x80]],
    ['float8e4m3fnuz', [0x7f, 0xff, 0x7f, 0xff, 0x80, 0, 0, 0]],
    ['float8e5m2', [0x7b, 0xfb, 0x7b, 0xfb, 0x7e, 0x80, 0, 0x80]],
    ['float8e5m2fnuz', [0x7f, 0xff, 0x7f, 0xff, 0x80, 0, 0, 0]],
    ['float4e2m1', [0xf7, 0xf7, 0x88, 0x80]],
  ])('%s saturates', (dtype, expected) => {
    expect(encode(dtype, inputs)).toEqual(expected)
  })

  test('float16 and bfloat16 overflow to infinity', () => {
    expect([...encodeNumbers('float16', [65519, 65520, -1e9, nan, -0])]).toEqual([
      0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x8000,
    ])
    expect([...encodeNumbers('bfloat16', [3.4e38, 1e300, -Infinity, nan])]).toEqual([0x7f80, 0x7f80, 0xff80, 0x7fc0])
  })

  test('float16 rounds once: a double just above a tie is not first rounded onto it', () => {
    expect([...encodeNumbers('float16', [1 + 2 ** -11 + 2 ** -40, 1 + 2 ** -11])]).toEqual([0x3c01, 0x3c00])
  })
})

test('float4e2m1 has the sixteen values of the OCP specification', () => {
  const magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
  const values = [...magnitudes, ...magnitudes.map((m) => -m)]
  const packed = Uint8Array.from({ length: 8 }, (_, i) => (2 * i) | ((2 * i + 1) << 4))
  expect(decode('float4e2m1', packed, 16)).toEqual(values)
  expect(encode('float4e2m1', values)).toEqual([...packed])
  // Ties: 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5 go to the even pattern.
  expect(encode('float4e2m1', [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 5.1])).toEqual([0x20, 0x42, 0x64, 0x76])
})

test('float8e8m0 holds powers of two and rounds up, like the default of Cast', () => {
  const values = decode('float8e8m0', codes(256), 256)
  expect(values).toEqual([...Array.from({ length: 255 }, (_, i) => 2 ** (i - 127)), nan])
  expect(encode('float8e8m0', values)).toEqual([...codes(256)])
  // Inputs and expected bytes of the ONNX backend case test_cast_e8m0_FLOAT_to_FLOAT8E8M0.
  expect(encode('float8e8m0', [0, 0.124, 0.25, 0.5, 1.1, 2, 4, 8])).toEqual([
    0, 0x7c, 0x7d, 0x7e, 0x80, 0x80, 0x81, 0x82,
  ])
  expect(encode('float8e8m0', [-1, Infinity])).toEqual([0xff, 0xfe])
})

describe('packed integers', () => {
  test('every byte splits low bits first', () => {
    for (let byte = 0; byte < 256; byte++) {
      const [low, high] = [byte & 15, byte >> 4]
      const two = [0, 2, 4, 6].map((shift) => (byte >> shift) & 3)
      const bytes = Uint8Array.of(byte)
      expect(decode('uint4', bytes, 2)).toEqual([low, high])
      expect(decode('int4', bytes, 2)).toEqual([low, high].map((n) => (n > 7 ? n - 16 : n)))
      expect(decode('uint2', bytes, 4)).toEqual(two)
      expect(decode('int2', bytes, 4)).toEqual(two.map((n) => (n > 1 ? n - 4 : n)))
      for (const [dtype, count] of [
        ['uint4', 2],
        ['int4', 2],
        ['uint2', 4],
        ['int2', 4],
      ] as const) {
        expect(encode(dtype, decode(dtype, bytes, count))).toEqual([byte])
      }
    }
  })

  test('a partial last byte is padded with zeros', () => {
    expect(encode('int4', [-1, 2, -8])).toEqual([0x2f, 0x08])
    expect(encode('uint2', [3, 0, 1, 2, 3])).toEqual([0b10010011, 0b11])
    expect(decode('int4', Uint8Array.of(0x2f, 0x08), 3)).toEqual([-1, 2, -8])
  })
})

describe('integers round half to even and saturate', () => {
  const inputs = [0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30, nan]
  test.each<[DType, number[]]>([
    ['int2', [0, 1, 1, 0, -2, 1, -2, 0]],
    ['uint2', [0, 2, 2, 0, 0, 3, 0, 0]],
    ['int4', [0, 2, 2, 0, -2, 7, -8, 0]],
    ['uint4', [0, 2, 2, 0, 0, 15, 0, 0]],
    ['int8', [0, 2, 2, 0, -2, 127, -128, 0]],
    ['uint8', [0, 2, 2, 0, 0, 255, 0, 0]],
    ['int16', [0, 2, 2, 0, -2, 32767, -32768, 0]],
    ['uint16', [0, 2, 2, 0, 0, 65535, 0, 0]],
    ['int32', [0, 2, 2, 0, -2, 2147483647, -2147483648, 0]],
    ['uint32', [0, 2, 2, 0, 0, 4294967295, 0, 0]],
  ])('%s', (dtype, expected) => {
    expect(decode(dtype, bytesOf(encodeNumbers(dtype, inputs)), inputs.length).map((n) => n + 0)).toEqual(expected)
  })

  test('64-bit integers saturate at their exact limits', () => {
    const half = 2 ** 51 + 0.5
    expect([...encodeNumbers('int64', [1e30, -1e30, nan, 2.5, -3.5, half, 2 ** 53])]).toEqual([
      2n ** 63n - 1n,
      -(2n ** 63n),
      0n,
      2n,
      -4n,
      2n ** 51n,
      2n ** 53n,
    ])
    expect([...encodeNumbers('uint64', [1e30, -1, 2 ** 63])]).toEqual([2n ** 64n - 1n, 0n, 2n ** 63n])
  })
})

test('stored types decode at any alignment', () => {
  const shifted = new Uint8Array(17).subarray(1)
  shifted.set(bytesOf(BigInt64Array.of(-5n, 2n ** 40n)))
  expect(decode('int64', shifted, 2)).toEqual([-5, 2 ** 40])
  shifted.set(bytesOf(Float64Array.of(0.1, -1e300)))
  expect(decode('float64', shifted, 2)).toEqual([0.1, -1e300])
})

test('bool is zero or one', () => {
  expect(encode('bool', [0, 1, -0.5, 0])).toEqual([0, 1, 1, 0])
  expect(decode('bool', Uint8Array.of(0, 1, 255), 3)).toEqual([0, 1, 1])
})

test('float32 goes through unchanged', () => {
  const values = Float32Array.of(0.1, -3, 1e-45)
  expect(decode('float32', bytesOf(values), 3)).toEqual([...values])
  expect(viewAs(bytesOf(encodeNumbers('float32', [0.1])), Float32Array)[0]).toBe(Math.fround(0.1))
})

test('what is no number is refused, and so are missing bytes', () => {
  expect(() => decodeNumbers('complex64', new Uint8Array(8), 1)).toThrow('TENSOR_DTYPE')
  expect(() => encodeNumbers('string', [1])).toThrow('TENSOR_DTYPE')
  expect(() => decodeNumbers('int4', new Uint8Array(1), 3)).toThrow('TENSOR_SIZE')
})
