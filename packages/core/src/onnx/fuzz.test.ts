import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FewbitError } from '../util/index.ts'
import {
  bytesSource,
  decodeModel,
  encodeToBytes,
  locationProblem,
  proto,
  tensorDims,
  tensorSource,
  tensorStrings,
} from './index.ts'

const numRuns = Number(process.env.FEWBIT_FUZZ_RUNS ?? 2000)

/** A small model with every kind of record that the decoder treats specially. */
function seedModel(): Uint8Array {
  const tensor = (init: object) => create(proto.TensorProtoSchema, init)
  const external = [
    { key: 'location', value: 'weights.bin' },
    { key: 'offset', value: '4096' },
    { key: 'length', value: '8' },
  ]
  const initializer = [
    tensor({ name: 'raw', dims: [5000n], dataType: 2, rawData: new Uint8Array(5000).fill(7) }),
    tensor({ name: 'typed', dims: [2n, 2n], dataType: 1, floatData: [1, 2, 3, 4] }),
    tensor({ name: 'long', dims: [4500n], dataType: 7, int64Data: Array(4500).fill(-1n) }),
    tensor({ name: 'nibbles', dims: [3n], dataType: 22, int32Data: [33, 4] }),
    tensor({ name: 'unsigned', dims: [1n], dataType: 12, uint64Data: [7n] }),
    tensor({ name: 'text', dims: [1n], dataType: 8, stringData: [Uint8Array.of(65, 66)] }),
    tensor({ name: 'far', dims: [2n], dataType: 1, externalData: external, dataLocation: 1 }),
  ]
  const inner = create(proto.GraphProtoSchema, {
    name: 'then',
    node: [{ opType: 'Relu', input: ['x'], output: ['z'] }],
  })
  const attribute = [
    { name: 'then_branch', type: 5, g: inner },
    { name: 'ints', type: 7, ints: [1n, -1n] },
    { name: 'value', type: 4, t: initializer[1] as proto.TensorProto },
  ]
  const dim = [
    { value: { case: 'dimParam' as const, value: 'N' } },
    { value: { case: 'dimValue' as const, value: 3n } },
  ]
  const input = [
    { name: 'x', type: { value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim } } } } },
  ]
  const graph = { name: 'g', node: [{ opType: 'If', input: ['x'], output: ['y'], attribute }], initializer, input }
  const opsetImport = [{ domain: '', version: 21n }]
  return toBinary(proto.ModelProtoSchema, create(proto.ModelProtoSchema, { irVersion: 10n, graph, opsetImport }))
}

const seed = seedModel()
const byte = fc.nat(255)
// Large data are all alike: aim at the structure before, between and after them.
const position = fc.oneof(
  fc.nat(seed.length - 1),
  fc.nat(199),
  fc.nat(199).map((i) => seed.length - 1 - i),
)

const truncated = position.map((end) => seed.subarray(0, end))
const flipped = fc.array(fc.record({ position, bit: fc.nat(7) }), { minLength: 1, maxLength: 12 }).map((flips) =>
  edit((bytes) => {
    for (const { position, bit } of flips) bytes[position] = (bytes[position] as number) ^ (1 << bit)
  }),
)
const overwritten = fc.array(fc.record({ position, byte }), { minLength: 1, maxLength: 12 }).map((writes) =>
  edit((bytes) => {
    for (const { position, byte } of writes) bytes[position] = byte
  }),
)
const spliced = fc.record({ from: position, to: position, at: position }).map(({ from, to, at }) => {
  const piece = seed.subarray(Math.min(from, to), Math.max(from, to))
  return Uint8Array.from([...seed.subarray(0, at), ...piece, ...seed.subarray(at)])
})
const hugeLength = fc
  .record({ position, huge: fc.bigInt({ min: 2n ** 20n, max: 2n ** 64n - 1n }) })
  .map(({ position, huge }) => {
    const bytes: number[] = []
    for (let rest = huge; rest > 0n; rest >>= 7n) bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0))
    return Uint8Array.from([...seed.subarray(0, position), ...bytes, ...seed.subarray(position + 1)])
  })
const noise = fc.uint8Array({ maxLength: 400 })
const nested = fc.record({ depth: fc.nat(3000), end: noise }).map(({ depth, end }) => nest(depth, end))

function edit(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = seed.slice()
  change(bytes)
  return bytes
}

/** Graphs within attributes within nodes, or groups within groups where the length is odd. */
function nest(depth: number, end: Uint8Array): Uint8Array {
  const levels = Array.from({ length: depth }, (_, i) => [0x0a, 0x2a, 0x32][(depth - 1 - i) % 3] as number)
  const parts: number[][] = []
  let length = end.length
  for (const tag of levels) {
    const head = [tag, ...varint(length)]
    parts.push(head)
    length += head.length
  }
  return Uint8Array.from([0x3a, ...varint(length), ...parts.reverse().flat(), ...end])
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]

const empty = { size: 0, read: () => new Uint8Array() }

/** What a session does with a model: every tensor, strings, and the way back. */
function exercise(bytes: Uint8Array): void {
  const opened: string[] = []
  const openExternal = (location: string) => {
    opened.push(location)
    return empty
  }
  try {
    const model = decodeModel(bytesSource(bytes), { openExternal })
    for (const tensor of model.graph?.initializer ?? []) readTensor(tensor)
    const again = encodeToBytes(model)
    expect(Buffer.compare(encodeToBytes(decodeModel(bytesSource(again))), again)).toBe(0)
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error
    expect(error.code).toMatch(/^ONNX_/)
  }
  expect(opened.filter((location) => locationProblem(location) !== undefined)).toEqual([])
}

function readTensor(tensor: proto.TensorProto): void {
  try {
    tensorDims(tensor)
    if (tensor.dataType === 8) tensorStrings(tensor)
    const source = tensorSource(tensor)
    const data = source.read()
    expect(data.byteLength).toBe(source.byteLength)
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error
    expect(error.code).toMatch(/^ONNX_/)
  }
}

test(`${numRuns} damaged and hostile files end in a model or a diagnostic`, { timeout: 600_000 }, () => {
  const anyBytes = fc.oneof(truncated, flipped, overwritten, spliced, hugeLength, noise, nested)
  let slowest = 0
  const property = fc.property(anyBytes, (bytes) => {
    const start = performance.now()
    exercise(bytes)
    slowest = Math.max(slowest, performance.now() - start)
  })
  fc.assert(property, { numRuns, seed: 20, endOnFailure: true })
  // 20 kB decode in about a millisecond; a second is far beyond any garbage collection, and far below a hang.
  expect(slowest).toBeLessThan(1000)
  expect(process.memoryUsage().rss).toBeLessThan(1e9)
})

test('locations that leave the folder are refused, whatever surrounds them', () => {
  const part = fc.constantFrom('a', '.', 'b.c', '')
  const inside = fc.array(part, { maxLength: 4 }).map((parts) => [...parts, 'w.bin'].join('/').replace(/^\/+/, ''))
  const escaping = fc.tuple(inside, fc.nat(3)).map(([path, extra]) => {
    const depth = path.split('/').filter((p) => p !== '' && p !== '.').length
    return `${path}/${'../'.repeat(depth + 1 + extra)}etc/passwd`
  })
  fc.assert(fc.property(inside, (path) => locationProblem(path) === undefined))
  fc.assert(fc.property(escaping, (path) => locationProblem(path) === "leaves the model's folder"))
  const wrong = [
    '',
    '.',
    'a/..',
    '/etc/passwd',
    'C:w',
    'c:\\w',
    '..\\w',
    'a\\..\\..\\w',
    'a\0b',
    'a\nb',
    '*/_ORT_MEM_ADDR_/*',
  ]
  for (const path of wrong) expect(locationProblem(path), path).toBeDefined()
})
