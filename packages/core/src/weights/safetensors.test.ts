import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Tensor } from '../ir/index.ts'
import { concatBytes, encodeUtf8, FewbitError } from '../util/index.ts'
import { readSafetensors, writeSafetensors } from './index.ts'

/** A file from its header and data, by the format's text and not by our writer. */
function file(header: unknown, data: readonly number[] = [], length?: number): Uint8Array {
  const text = encodeUtf8(typeof header === 'string' ? header : JSON.stringify(header))
  const prefix = new Uint8Array(8)
  new DataView(prefix.buffer).setBigUint64(0, BigInt(length ?? text.length), true)
  return concatBytes([prefix, text, Uint8Array.from(data)])
}

const codeOf = (bytes: Uint8Array): string => {
  try {
    readSafetensors(bytes)
  } catch (error) {
    if (error instanceof FewbitError) return error.code
    throw error
  }
  return 'none'
}

describe('reading', () => {
  test('values, shapes and types of a file written by hand', () => {
    const header = {
      __metadata__: { format: 'pt' },
      half: { dtype: 'F16', shape: [2], data_offsets: [0, 4] },
      brain: { dtype: 'BF16', shape: [1, 2], data_offsets: [4, 8] },
      steps: { dtype: 'I64', shape: [], data_offsets: [8, 16] },
      empty: { dtype: 'F32', shape: [0, 3], data_offsets: [16, 16] },
    }
    // 1.5 and −2 in binary16; 1 and −0.5 in bfloat16; 258.
    const data = [0x00, 0x3e, 0x00, 0xc0, 0x80, 0x3f, 0x00, 0xbf, 2, 1, 0, 0, 0, 0, 0, 0]
    const { tensors, metadata } = readSafetensors(file(`${JSON.stringify(header)}   `, data))
    expect(metadata).toEqual({ format: 'pt' })
    expect([...tensors.keys()]).toEqual(['half', 'brain', 'steps', 'empty'])
    const read = [...tensors.values()].map((t) => [t.dtype, t.dims, [...t.numbers()]])
    expect(read).toEqual([
      ['float16', [2], [1.5, -2]],
      ['bfloat16', [1, 2], [1, -0.5]],
      ['int64', [], [258]],
      ['float32', [0, 3], []],
    ])
  })

  test('only the header is read until a tensor is asked for', () => {
    const header = { w: { dtype: 'U8', shape: [4], data_offsets: [0, 4] } }
    const bytes = file(header, [1, 2, 3, 4])
    const reads: [number, number][] = []
    const read = (offset: number, length: number) => {
      reads.push([offset, length])
      return bytes.subarray(offset, offset + length)
    }
    const { tensors } = readSafetensors({ size: bytes.length, read })
    expect(reads).toEqual([
      [0, 8],
      [8, bytes.length - 12],
    ])
    expect([...(tensors.get('w')?.numbers() ?? [])]).toEqual([1, 2, 3, 4])
    expect(reads.at(-1)).toEqual([bytes.length - 4, 4])
  })

  const one = (record: object) => ({ w: { dtype: 'F32', shape: [1], data_offsets: [0, 4], ...record } })
  const pair = (begin: number) => ({
    a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    b: { dtype: 'F32', shape: [1], data_offsets: [begin, begin + 4] },
  })
  const four = [0, 0, 0, 0]

  test.each([
    ['nothing', Uint8Array.of(), 'SAFETENSORS_TRUNCATED'],
    ['a header that goes on behind the end', file(one({}), [], 1000), 'SAFETENSORS_TRUNCATED'],
    ['data that go on behind the end', file(one({}), [0, 0]), 'SAFETENSORS_TRUNCATED'],
    ['a pickle', concatBytes([encodeUtf8('PK\u0003\u0004archive/data.pkl'), new Uint8Array(64)]), 'SAFETENSORS_HEADER'],
    ['a list', file('[1]'), 'SAFETENSORS_HEADER'],
    ['half a JSON', file('{"w": '), 'SAFETENSORS_HEADER'],
    ['metadata that are no strings', file({ __metadata__: { n: 1 } }), 'SAFETENSORS_HEADER'],
    ['a record that is none', file({ w: 3 }), 'SAFETENSORS_HEADER'],
    ['a negative size', file(one({ shape: [-1] }), four), 'SAFETENSORS_HEADER'],
    ['half a size', file(one({ shape: [0.5] }), four), 'SAFETENSORS_HEADER'],
    ['offsets backwards', file(one({ data_offsets: [4, 0] }), four), 'SAFETENSORS_HEADER'],
    ['one offset', file(one({ data_offsets: [0] }), four), 'SAFETENSORS_HEADER'],
    ['an unknown type', file(one({ dtype: 'F6_E2M3' }), four), 'SAFETENSORS_DTYPE'],
    ['a type of every object', file(one({ dtype: 'toString' }), four), 'SAFETENSORS_DTYPE'],
    ['no type', file({ w: { shape: [1], data_offsets: [0, 4] } }, four), 'SAFETENSORS_DTYPE'],
    ['another size than the shape', file(one({ shape: [2] }), four), 'SAFETENSORS_LAYOUT'],
    ['a shape beyond counting', file(one({ shape: [2 ** 40, 2 ** 40] }), four), 'SAFETENSORS_LAYOUT'],
    ['half a byte', file(one({ dtype: 'F4', shape: [7] }), four), 'SAFETENSORS_LAYOUT'],
    ['tensors that overlap', file(pair(2), [...four, 0, 0]), 'SAFETENSORS_LAYOUT'],
    ['a gap', file(pair(6), [...four, ...four, 0, 0]), 'SAFETENSORS_LAYOUT'],
    ['bytes at the end', file(one({}), [...four, 0]), 'SAFETENSORS_LAYOUT'],
  ])('refuses %s', (_, bytes, code) => {
    expect(codeOf(bytes)).toBe(code)
  })
})

describe('writing', () => {
  test('what is written comes back, whatever the names and types', () => {
    const dtype = fc.constantFrom('float32', 'float16', 'bfloat16', 'int64', 'uint8', 'bool')
    const dims = fc.array(fc.nat(4), { maxLength: 4 })
    const tensor = fc.tuple(dtype, dims).map(([type, shape]) => {
      const size = shape.reduce((n, d) => n * d, 1)
      return Tensor.fromNumbers(
        type,
        shape,
        Float32Array.from({ length: size }, (_, i) => (i % 3) - 1),
      )
    })
    const name = fc.array(fc.constantFrom('a', '.', '"', '\\', 'é', '\n', '🙂', '_')).map((parts) => parts.join(''))
    const all = fc.array(fc.tuple(name, tensor), { maxLength: 6 }).map((entries) => new Map(entries))
    fc.assert(
      fc.property(all, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        const bytes = writeSafetensors(tensors, metadata)
        const back = readSafetensors(bytes)
        expect(Object.entries(back.metadata)).toEqual(Object.entries(metadata))
        expect(back.tensors.size).toBe(tensors.size)
        for (const [key, written] of tensors) {
          const read = back.tensors.get(key)
          expect([read?.dtype, read?.dims]).toEqual([written.dtype, written.dims])
          expect(Buffer.compare(read?.bytes() ?? Buffer.of(), written.bytes())).toBe(0)
        }
        expect(Buffer.compare(writeSafetensors([...tensors].reverse(), metadata), bytes)).toBe(0)
      }),
      { seed: 3, numRuns: 100 },
    )
  })

  test('large elements come first and every tensor is aligned to its elements', () => {
    const tensors = new Map([
      ['a', Tensor.fromNumbers('uint8', [3], [1, 2, 3])],
      ['b', Tensor.int64([1], [7])],
      ['c', Tensor.float32([1], [0.5])],
    ])
    const bytes = writeSafetensors(tensors)
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    expect(length % 8).toBe(0)
    expect(JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString())).toEqual({
      b: { dtype: 'I64', shape: [1], data_offsets: [0, 8] },
      c: { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
      a: { dtype: 'U8', shape: [3], data_offsets: [12, 15] },
    })
  })

  test('a type that the format lacks is refused by name', () => {
    const int4 = Tensor.fromNumbers('int4', [2], [1, 2])
    expect(() => writeSafetensors([['w', int4]])).toThrow(/SAFETENSORS_DTYPE {2}"w" is int4/)
  })
})

const numRuns = Number(process.env.FEWBIT_FUZZ_RUNS ?? 2000)

test(`${numRuns} damaged files end in tensors within the file or a diagnostic`, { timeout: 600_000 }, () => {
  const seed = writeSafetensors(
    [
      ['layer1.0.conv1.weight', Tensor.float32([2, 2], [1, 2, 3, 4])],
      ['bn.num_batches_tracked', Tensor.int64([], [5])],
      ['scale', Tensor.fromNumbers('float16', [3], [1, 2, 3])],
    ],
    { format: 'pt' },
  )
  const position = fc.nat(seed.length - 1)
  const edits = fc.array(fc.tuple(position, fc.nat(255)), { minLength: 1, maxLength: 4 }).map((writes) => {
    const bytes = seed.slice()
    for (const [at, byte] of writes) bytes[at] = byte
    return bytes
  })
  // Another digit keeps the JSON valid, so that what it says is what gets checked.
  const digits = [...seed.keys()].filter((at) => /\d/.test(String.fromCharCode(seed[at] as number)) && at >= 8)
  const otherDigit = fc.tuple(fc.constantFrom(...digits), fc.nat(9)).map(([at, digit]) => {
    const bytes = seed.slice()
    bytes[at] = 48 + digit
    return bytes
  })
  const truncated = position.map((end) => seed.subarray(0, end))
  const anyBytes = fc.oneof(edits, otherDigit, truncated, fc.uint8Array({ maxLength: 200 }))
  let survived = 0
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      try {
        const { tensors } = readSafetensors(bytes)
        for (const tensor of tensors.values()) expect(tensor.bytes().byteLength).toBe(tensor.byteLength)
        survived++
      } catch (error) {
        if (!(error instanceof FewbitError)) throw error
        expect(error.code).toMatch(/^SAFETENSORS_/)
      }
    }),
    { numRuns, seed: 21, endOnFailure: true },
  )
  // Changed weights and names are still files: a fuzzer that reaches none of them tests only the first check.
  expect(survived).toBeGreaterThan(numRuns / 50)
})
