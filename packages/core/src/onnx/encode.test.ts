import { create, toBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { concatBytes } from '../util/index.ts'
import { MAX_MODEL_BYTES } from './encode.ts'
import {
  bytesSource,
  decodeModel,
  encodedSize,
  encodeModel,
  encodeToBytes,
  proto,
  setTensorSource,
  tensorSource,
} from './index.ts'

const { ModelProtoSchema, TensorProtoSchema } = proto

const collect = () => {
  const parts: Uint8Array[] = []
  return { write: (chunk: Uint8Array) => void parts.push(chunk.slice()), bytes: () => concatBytes(parts), parts }
}

const modelWith = (...initializer: proto.TensorProto[]) =>
  create(ModelProtoSchema, { irVersion: 10n, graph: { name: 'g', initializer } })

/** A tensor of `length` bytes whose byte i is i·factor, made when asked for. */
function generated(length: number, factor: number, longest: { bytes: number }) {
  const readRange = (offset: number, count: number) => {
    longest.bytes = Math.max(longest.bytes, count)
    return Uint8Array.from({ length: count }, (_, i) => ((offset + i) * factor) & 255)
  }
  return { byteLength: length, read: () => readRange(0, length), readRange }
}

const tensor = (name: string, count: number) => create(TensorProtoSchema, { name, dims: [BigInt(count)], dataType: 2 })

describe('streaming', () => {
  test('tensors go to the sink in pieces and give the bytes that protobuf gives', () => {
    const longest = { bytes: 0 }
    const streamed = tensor('w', 5_000_000)
    setTensorSource(streamed, generated(5_000_000, 3, longest))
    const model = modelWith(
      streamed,
      create(TensorProtoSchema, { name: 'b', dims: [1n], dataType: 1, floatData: [1.5] }),
    )
    const sink = collect()
    encodeModel(model, sink)
    const plain = modelWith(
      create(TensorProtoSchema, { ...streamed, rawData: generated(5_000_000, 3, { bytes: 0 }).read() }),
      model.graph!.initializer[1]!,
    )
    expect(Buffer.compare(sink.bytes(), toBinary(ModelProtoSchema, plain))).toBe(0)
    expect(encodedSize(model)).toBe(sink.bytes().length)
    expect(longest.bytes).toBeLessThanOrEqual(1 << 20)
  })

  test('a source replaces the data that a message held', () => {
    const w = create(TensorProtoSchema, { dims: [2n], dataType: 1, floatData: [1, 2] })
    setTensorSource(w, { byteLength: 8, read: () => new Uint8Array(new Float32Array([3, 4]).buffer) })
    const again = decodeModel(bytesSource(encodeToBytes(modelWith(w)))).graph!.initializer[0]!
    expect([again.floatData.length, again.rawData.length]).toEqual([0, 8])
    expect([...new Float32Array(tensorSource(again).read().slice().buffer)]).toEqual([3, 4])
  })

  test('a source that gives fewer bytes than it promised is an error, not a damaged file', () => {
    const w = tensor('w', 8)
    setTensorSource(w, { byteLength: 8, read: () => new Uint8Array(7) })
    expect(() => encodeToBytes(modelWith(w))).toThrow('ONNX_TENSOR_SIZE')
  })

  test('more than 2 GiB is refused before a byte is written', () => {
    const w = tensor('w', MAX_MODEL_BYTES)
    setTensorSource(w, generated(MAX_MODEL_BYTES, 1, { bytes: 0 }))
    const sink = collect()
    expect(() => encodeModel(modelWith(w), sink)).toThrow(/ONNX_TOO_LARGE.*\n.*external data/s)
    expect(sink.parts).toEqual([])
  })

  test('lengths beyond 32 bits are counted right', () => {
    const w = tensor('w', 5e9)
    setTensorSource(w, generated(5e9, 1, { bytes: 0 }))
    const small = encodedSize(modelWith(tensor('w', 5e9)))
    // Three length prefixes of five bytes stand where the small model has two of one byte, and a tag for raw_data.
    expect(encodedSize(modelWith(w)) - small).toBe(5e9 + 3 * 5 - 2 + 1)
  })
})

describe('external data out', () => {
  const typed = create(TensorProtoSchema, { name: 't', dims: [400n], dataType: 7, int64Data: Array(400).fill(-2n) })
  const small = create(TensorProtoSchema, { name: 's', dims: [1n], dataType: 2, rawData: Uint8Array.of(9) })
  const large = create(TensorProtoSchema, {
    name: 'w',
    dims: [6000n],
    dataType: 2,
    rawData: new Uint8Array(6000).fill(5),
    docString: 'kept',
  })
  const nested = create(TensorProtoSchema, {
    name: 'n',
    dims: [2000n],
    dataType: 2,
    rawData: new Uint8Array(2000).fill(6),
  })
  const model = modelWith(typed, small, large)
  const branch = create(proto.GraphProtoSchema, { initializer: [nested] })
  model.graph!.node.push(create(proto.NodeProtoSchema, { attribute: [{ name: 'then_branch', type: 5, g: branch }] }))

  const save = () => {
    const [main, data] = [collect(), collect()]
    encodeModel(model, main, { externalData: { location: 'm.data', sink: data } })
    return { main: main.bytes(), data: data.bytes() }
  }

  test('large initializers, those of subgraphs too, move to page-aligned places', () => {
    const { main, data } = save()
    const saved = decodeModel(bytesSource(main), { openExternal: () => bytesSource(data) })
    const initializers = [...saved.graph!.initializer, saved.graph!.node[0]!.attribute[0]!.g!.initializer[0]!]
    const before = [typed, small, large, nested]
    expect(initializers.map((t) => tensorSource(t).external?.offset)).toEqual([0, undefined, 4096, 12_288])
    for (const [i, t] of initializers.entries()) {
      expect([t.name, t.dims, t.docString]).toEqual([before[i]!.name, before[i]!.dims, before[i]!.docString])
      expect(Buffer.compare(tensorSource(t).read(), tensorSource(before[i]!).read())).toBe(0)
    }
    expect(main.length).toBeLessThan(400)
    expect(data.length).toBe(12_288 + 2000)
  })

  test('the caller keeps its message as it was', () => {
    const before = toBinary(ModelProtoSchema, model)
    save()
    expect(Buffer.compare(toBinary(ModelProtoSchema, model), before)).toBe(0)
  })

  test('references survive a save without external data', () => {
    const { main } = save()
    expect(Buffer.compare(encodeToBytes(decodeModel(bytesSource(main))), main)).toBe(0)
  })

  test('a location outside the folder is refused', () => {
    const options = { externalData: { location: '../m.data', sink: collect() } }
    expect(() => encodeModel(model, collect(), options)).toThrow('ONNX_EXTERNAL_PATH')
  })
})
