import { create, createRegistry, equals, fromBinary, toBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { concatBytes, encodeUtf8, FewbitError } from '../util/index.ts'
import { type ByteSource, bytesSource, decodeModel, encodeToBytes, proto, tensorSource } from './index.ts'

const { ModelProtoSchema, TensorProtoSchema } = proto

/** Protobuf by hand: a varint, a length-delimited field, a number field. */
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]
const block = (field: number, ...content: (Uint8Array | number[])[]): Uint8Array => {
  const body = concatBytes(content.map((part) => Uint8Array.from(part)))
  return concatBytes([Uint8Array.from([...varint(field * 8 + 2), ...varint(body.length)]), body])
}
const number = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)]
const GRAPH = 7
const model = (...graph: (Uint8Array | number[])[]) => block(GRAPH, ...graph)

const decode = (bytes: Uint8Array) => decodeModel(bytesSource(bytes))
const codeOf = (bytes: Uint8Array): string => {
  try {
    decode(bytes)
  } catch (error) {
    if (error instanceof FewbitError) return error.code
    throw error
  }
  return 'none'
}

describe('what no ONNX file looks like', () => {
  const node = block(1, block(4, encodeUtf8('Relu')))
  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'ONNX_EMPTY'],
    ['no graph', Uint8Array.from(number(1, 8)), 'ONNX_NO_GRAPH'],
    [
      'a Git LFS pointer',
      encodeUtf8('version https://git-lfs.github.com/spec/v1\noid sha256:00\n'),
      'ONNX_LFS_POINTER',
    ],
    ['a web page', encodeUtf8('<!DOCTYPE html>\n<html><body>404: not found</body></html>\n'), 'ONNX_TEXT'],
    ['a PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), 'ONNX_TRUNCATED'],
    ['a truncated graph', model(node).subarray(0, -1), 'ONNX_TRUNCATED'],
    ['a nested message longer than its parent', model([0x0a, 5, 0x22]), 'ONNX_TRUNCATED'],
    ['a length of 2^60', Uint8Array.from([0x3a, ...varint(2 ** 50)]), 'ONNX_TRUNCATED'],
    ['a varint without end', Uint8Array.from([8, ...Array(11).fill(255), 1]), 'ONNX_VARINT'],
    ['field number zero', Uint8Array.of(0, 0), 'ONNX_TAG'],
    ['a stray end of group', Uint8Array.of(0xa4, 0x06), 'ONNX_TAG'],
    ['a group without end', Uint8Array.of(0xa3, 0x06, 0x08, 0x01), 'ONNX_TRUNCATED'],
    ['a number where the graph belongs', Uint8Array.from(number(GRAPH, 3)), 'ONNX_WIRE_TYPE'],
    ['a packed element that runs out', model(block(5, block(4, [0, 0, 0]))), 'ONNX_TRUNCATED'],
  ])('%s', (_, bytes, code) => {
    expect(codeOf(bytes)).toBe(code)
  })

  test('graphs nested without end', () => {
    let bytes = model()
    for (let i = 0; i < 200; i++) bytes = model(block(1, block(5, block(6, bytes.subarray(1)))))
    let deep: Uint8Array = new Uint8Array()
    for (let i = 0; i < 5000; i++) deep = block(1, block(5, block(6, deep)))
    expect(codeOf(model(deep))).toBe('ONNX_DEPTH')
    const groups = new Uint8Array(2 * 50_000).map((_, i) => (i % 2 ? 0x06 : 0xa3))
    expect(codeOf(groups)).toBe('ONNX_DEPTH')
  })

  test('a bomb of empty nodes is refused before it fills the memory', () => {
    const count = 6_000_000
    const nodes = new Uint8Array(2 * count).map((_, i) => (i % 2 ? 0 : 0x0a))
    const bytes = concatBytes([Uint8Array.from([0x3a, ...varint(nodes.length)]), nodes])
    expect(codeOf(bytes)).toBe('ONNX_TOO_COMPLEX')
  })

  test('the error names the byte and the field', () => {
    const bytes = model(block(1), block(1, [0x2a, 9]))
    try {
      decodeModel(bytesSource(bytes), { file: 'bad.onnx' })
      expect.unreachable()
    } catch (error) {
      const [diagnostic] = (error as FewbitError).diagnostics
      expect(diagnostic?.at).toEqual({ file: 'bad.onnx', field: 'graph.node[1].attribute[0]', byte: bytes.length })
    }
  })
})

describe('what must survive', () => {
  const survives = (bytes: Uint8Array) => {
    const ours = decode(bytes)
    const reference = fromBinary(ModelProtoSchema, bytes)
    expect(
      equals(ModelProtoSchema, ours, reference, { registry: createRegistry(ModelProtoSchema), unknown: true }),
    ).toBe(true)
    expect([...encodeToBytes(ours)]).toEqual([...toBinary(ModelProtoSchema, reference)])
  }

  test('unknown fields of every wire type, at every level', () => {
    const unknown = concatBytes([
      Uint8Array.from(number(900, 2 ** 40)),
      Uint8Array.from([...varint(901 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8]),
      block(902, encodeUtf8('kept')),
      Uint8Array.from([...varint(903 * 8 + 3), ...number(1, 5), ...varint(903 * 8 + 4)]),
      Uint8Array.from([...varint(904 * 8 + 5), 1, 2, 3, 4]),
    ])
    survives(concatBytes([model(unknown, block(1, unknown), block(5, unknown, block(9, [1]))), unknown]))
  })

  test('an enum value that this schema does not know', () => {
    survives(model(block(1, block(5, number(20, 99)))))
  })

  test('a message field that occurs twice is merged, a scalar takes the last, a oneof the last case', () => {
    const dim = (...parts: (Uint8Array | number[])[]) => block(11, block(2, block(1, block(2, block(1, ...parts)))))
    survives(
      concatBytes([
        model(block(2, encodeUtf8('a')), block(1)),
        model(block(2, encodeUtf8('b')), dim(number(1, 3), block(2, [65]))),
      ]),
    )
  })

  test('repeated numbers, packed or not', () => {
    survives(model(block(5, number(1, 3), block(1, [4, 5]), block(5, [1, 2, 3]), number(5, 4))))
  })

  test('negative integers and the extremes of 64 bits', () => {
    const graph = {
      initializer: [create(TensorProtoSchema, { dims: [-1n, 2n ** 63n - 1n], int32Data: [-1, 2 ** 31 - 1] })],
    }
    survives(toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: -(2n ** 63n), graph })))
  })

  test('text beyond ASCII', () => {
    const graph = { name: 'größe → 量子化 😀 \u0000', docString: 'x'.repeat(70_000) }
    survives(toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph })))
  })
})

describe('large tensors', () => {
  const floats = Float32Array.from({ length: 3000 }, (_, i) => i / 7)
  const raw = new Uint8Array(floats.buffer)
  const withTensor = (init: object) =>
    toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph: { initializer: [create(TensorProtoSchema, init)] } }))

  test('stay in the file until read, and are views of memory', () => {
    const bytes = withTensor({ dims: [3000n], dataType: 1, rawData: raw })
    const reads: number[] = []
    const source: ByteSource = {
      size: bytes.length,
      read(offset, length) {
        reads.push(length)
        return bytes.subarray(offset, offset + length)
      },
    }
    const tensor = decodeModel(source).graph!.initializer[0]!
    expect(tensor.rawData.length).toBe(0)
    const before = reads.length
    const data = tensorSource(tensor)
    expect([data.byteLength, reads.length]).toEqual([12_000, before])
    expect(data.read().buffer).toBe(bytes.buffer)
    expect(reads.at(-1)).toBe(12_000)
  })

  test.each<[string, object, TypedArrayLike]>([
    ['float_data', { dataType: 1, floatData: [...floats] }, floats],
    ['double_data', { dataType: 11, doubleData: [...floats] }, Float64Array.from(floats)],
    [
      'int32_data',
      { dataType: 6, int32Data: [...floats.keys()].map((i) => 1000 - 70_000 * i) },
      Int32Array.from(floats.keys(), (i) => 1000 - 70_000 * i),
    ],
    [
      'int8 in int32_data',
      { dataType: 3, int32Data: [...floats.keys()].map((i) => (i % 256) - 128) },
      Int8Array.from(floats.keys(), (i) => (i % 256) - 128),
    ],
    [
      'int64_data',
      { dataType: 7, int64Data: [...floats.keys()].map((i) => BigInt(i - 9) ** 5n) },
      BigInt64Array.from([...floats.keys()], (i) => BigInt(i - 9) ** 5n),
    ],
    [
      'uint64_data',
      { dataType: 13, uint64Data: [...floats.keys()].map((i) => 2n ** 64n - 1n - BigInt(i)) },
      BigUint64Array.from([...floats.keys()], (i) => 2n ** 64n - 1n - BigInt(i)),
    ],
  ])('%s is read from the file in raw_data layout and written back as it was', (_, init, expected) => {
    const bytes = withTensor({ dims: [3000n], ...init })
    const decoded = decode(bytes)
    const data = tensorSource(decoded.graph!.initializer[0]!).read()
    expect(Buffer.compare(data, new Uint8Array(expected.buffer))).toBe(0)
    expect(Buffer.compare(encodeToBytes(decoded), bytes)).toBe(0)
  })

  test('float_data in several pieces, small and large, keep their order', () => {
    const part = (from: number, to: number) => block(4, raw.subarray(4 * from, 4 * to))
    const single = [...varint(4 * 8 + 5), ...raw.subarray(4 * 2998, 4 * 2999)]
    const tensor = block(
      5,
      block(1, varint(3000)),
      number(2, 1),
      part(0, 2),
      part(2, 2990),
      part(2990, 2998),
      single,
      part(2999, 3000),
    )
    const decoded = decode(model(tensor))
    expect(Buffer.compare(tensorSource(decoded.graph!.initializer[0]!).read(), raw)).toBe(0)
    const again = decode(encodeToBytes(decoded))
    expect(Buffer.compare(tensorSource(again.graph!.initializer[0]!).read(), raw)).toBe(0)
  })

  test('the last raw_data counts, large or small', () => {
    const small = raw.subarray(0, 4)
    for (const [first, last, dims] of [
      [raw, small, 1],
      [small, raw, 3000],
    ] as const) {
      const decoded = decode(model(block(5, number(1, dims), number(2, 1), block(9, first), block(9, last))))
      expect(Buffer.compare(tensorSource(decoded.graph!.initializer[0]!).read(), last)).toBe(0)
      const again = decode(encodeToBytes(decoded))
      expect(Buffer.compare(tensorSource(again.graph!.initializer[0]!).read(), last)).toBe(0)
    }
  })
})

type TypedArrayLike = { buffer: ArrayBufferLike }
