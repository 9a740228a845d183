import { create } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { dtypeToOnnx, encodeUtf8 } from '../util/index.ts'
import {
  type ByteSource,
  bytesSource,
  decodeModel,
  encodeToBytes,
  proto,
  tensorDims,
  tensorDType,
  tensorSource,
  tensorStrings,
} from './index.ts'

const { ModelProtoSchema, TensorProtoSchema } = proto
const tensor = (dtype: Parameters<typeof dtypeToOnnx>[0], dims: number[], init: object = {}) =>
  create(TensorProtoSchema, { name: 'w', dataType: dtypeToOnnx(dtype), dims: dims.map(BigInt), ...init })
const read = (t: proto.TensorProto) => [...tensorSource(t).read()]

describe('typed fields in raw_data layout', () => {
  // Expected bytes by hand from onnx.proto's description of each field, little-endian.
  test.each<[string, proto.TensorProto, number[]]>([
    ['float_data', tensor('float32', [2], { floatData: [1, -2] }), [0, 0, 128, 63, 0, 0, 0, 192]],
    ['complex64: real, imaginary', tensor('complex64', [1], { floatData: [1, -2] }), [0, 0, 128, 63, 0, 0, 0, 192]],
    ['double_data', tensor('float64', [1], { doubleData: [1] }), [0, 0, 0, 0, 0, 0, 240, 63]],
    ['float16 as its pattern', tensor('float16', [2], { int32Data: [0x3c00, 0xc000] }), [0, 0x3c, 0, 0xc0]],
    ['bfloat16 as its pattern', tensor('bfloat16', [1], { int32Data: [0x3f80] }), [0x80, 0x3f]],
    ['float8', tensor('float8e5m2', [2], { int32Data: [0x3c, 0xff] }), [0x3c, 0xff]],
    ['int8', tensor('int8', [2], { int32Data: [-1, 127] }), [255, 127]],
    ['uint16', tensor('uint16', [1], { int32Data: [65_534] }), [254, 255]],
    ['bool', tensor('bool', [3], { int32Data: [0, 1, 256] }), [0, 1, 1]],
    ['int4: two to an entry', tensor('int4', [3], { int32Data: [0x21, 0x0f] }), [0x21, 0x0f]],
    ['uint2: four to an entry', tensor('uint2', [5], { int32Data: [0xe4, 0x03] }), [0xe4, 0x03]],
    ['int64_data', tensor('int64', [1], { int64Data: [-2n] }), [254, 255, 255, 255, 255, 255, 255, 255]],
    ['uint32 in uint64_data', tensor('uint32', [1], { uint64Data: [4_294_967_294n] }), [254, 255, 255, 255]],
    ['no elements, no data', tensor('float32', [0, 3]), []],
    ['a scalar', tensor('uint8', [], { int32Data: [7] }), [7]],
  ])('%s', (_, proto, expected) => {
    expect(read(proto)).toEqual(expected)
  })

  test('large fields that stay in the file follow the same rules', () => {
    const ones = Array(5000).fill(256)
    const large = [
      tensor('bool', [5000], { int32Data: ones }),
      tensor('uint32', [5000], { uint64Data: Array(5000).fill(0xfffffffen) }),
    ]
    const bytes = encodeToBytes(create(ModelProtoSchema, { graph: { initializer: large } }))
    const [bool, uint32] = decodeModel(bytesSource(bytes)).graph!.initializer
    expect(read(bool!)).toEqual(Array(5000).fill(1))
    expect(read(uint32!).slice(-4)).toEqual([254, 255, 255, 255])
  })

  test('strings', () => {
    const t = tensor('string', [2], { stringData: [encodeUtf8('a'), encodeUtf8('ü')] })
    expect(tensorStrings(t).map((b) => [...b])).toEqual([[97], [195, 188]])
    expect(tensorSource(t).byteLength).toBe(0)
    expect(() => tensorStrings(tensor('string', [3], { stringData: [] }))).toThrow('ONNX_TENSOR_SIZE')
  })
})

describe('contradictions are refused, with the name of the tensor', () => {
  test.each<[string, proto.TensorProto]>([
    ['ONNX_TENSOR_TYPE', create(TensorProtoSchema, { name: 'w', dataType: 99 })],
    ['ONNX_TENSOR_TYPE', create(TensorProtoSchema, { name: 'w' })],
    ['ONNX_TENSOR_DIMS', tensor('float32', [-1])],
    ['ONNX_TENSOR_DIMS', tensor('float32', [2 ** 40, 2 ** 40])],
    ['ONNX_TENSOR_DIMS', tensor('float32', [2 ** 60])],
    ['ONNX_TENSOR_SIZE', tensor('float32', [2], { rawData: new Uint8Array(4) })],
    ['ONNX_TENSOR_SIZE', tensor('float32', [1], { rawData: new Uint8Array(8) })],
    ['ONNX_TENSOR_SIZE', tensor('float32', [2 ** 48])],
    ['ONNX_TENSOR_SIZE', tensor('int8', [2 ** 48], { int32Data: [1] })],
    ['ONNX_TENSOR_SIZE', tensor('int64', [2], { int64Data: [1n] })],
    ['ONNX_TENSOR_SEGMENT', tensor('float32', [1], { segment: {} })],
  ])('%s', (code, t) => {
    expect(() => tensorSource(t)).toThrow(new RegExp(`${code}.*\\n.*value w`))
  })

  test('type and dims of a sound tensor', () => {
    expect([tensorDType(tensor('int4', [3])), tensorDims(tensor('int4', [3, 0]))]).toEqual(['int4', [3, 0]])
  })

  test('entries in the file that are too few for a huge shape cost no memory', () => {
    const t = tensor('int64', [2 ** 45], { int64Data: Array(5000).fill(1n) })
    const bytes = encodeToBytes(create(ModelProtoSchema, { graph: { initializer: [t] } }))
    const decoded = decodeModel(bytesSource(bytes)).graph!.initializer[0]!
    expect(() => tensorSource(decoded)).toThrow('ONNX_TENSOR_SIZE')
  })
})

describe('external data in', () => {
  const external = (entries: Record<string, string>, dims = [2]) =>
    tensor('float32', dims, {
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    })
  const decoded = (t: proto.TensorProto, file?: ByteSource) => {
    const bytes = encodeToBytes(create(ModelProtoSchema, { graph: { initializer: [t] } }))
    const options = { file: 'm.onnx', ...(file && { openExternal: () => file }) }
    return decodeModel(bytesSource(bytes), options).graph!.initializer[0]!
  }
  const weights = bytesSource(Uint8Array.from({ length: 100 }, (_, i) => i))

  test('a range of the file, read when asked for', () => {
    const source = tensorSource(decoded(external({ location: 'w', offset: '10', length: '8' }), weights))
    expect(source.external).toEqual({ location: 'w', offset: 10 })
    expect([...source.read()]).toEqual([10, 11, 12, 13, 14, 15, 16, 17])
    expect([...source.readRange!(2, 3)]).toEqual([12, 13, 14])
  })

  test('offset and length may be left out', () => {
    expect([...tensorSource(decoded(external({ location: 'w' }), weights)).read()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test.each<[string, Record<string, string>]>([
    ['ONNX_EXTERNAL_PATH', {}],
    ['ONNX_EXTERNAL_PATH', { location: '../w' }],
    ['ONNX_EXTERNAL_PATH', { location: '/etc/passwd' }],
    ['ONNX_EXTERNAL_RANGE', { location: 'w', offset: '-4' }],
    ['ONNX_EXTERNAL_RANGE', { location: 'w', offset: '1e3' }],
    ['ONNX_EXTERNAL_RANGE', { location: 'w', offset: '9'.repeat(30) }],
    ['ONNX_TENSOR_SIZE', { location: 'w', length: '7' }],
  ])('%s for %j, before anything is opened', (code, entries) => {
    expect(() => tensorSource(decoded(external(entries)))).toThrow(code)
  })

  test('a range beyond the file, and a file that nobody can open, fail at the first read', () => {
    const beyond = tensorSource(decoded(external({ location: 'w', offset: '96' }), weights))
    expect(() => beyond.read()).toThrow('ONNX_EXTERNAL_RANGE')
    const unopened = tensorSource(decoded(external({ location: 'w' })))
    expect(unopened.byteLength).toBe(8)
    expect(() => unopened.read()).toThrow(/ONNX_EXTERNAL_MISSING.*\n.*m\.onnx/)
  })
})
