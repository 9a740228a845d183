import { ByteBuffer } from 'flatbuffers'
import { invariant, must, problem } from '../../util/index.ts'
import type { TfGraph, TfOperator, TfQuantization, TfTensor } from './graph.ts'
import { FILE_IDENTIFIER, OPERATORS, type OperatorName, TENSOR_TYPES, type TensorTypeName } from './schema.ts'

/**
 * Reads back what `writeFlatbuffer` writes: the first subgraph, with operators and element types of `schema.ts`.
 * @throws FewbitError TFLITE_FORMAT for other files.
 */
export function readFlatbuffer(bytes: Uint8Array): TfGraph {
  const buffer = new ByteBuffer(bytes)
  if (bytes.length < 8 || !buffer.__has_identifier(FILE_IDENTIFIER))
    throw problem('TFLITE_FORMAT', 'this is no TFLite file')
  const model = new Table(buffer, buffer.readInt32(0))
  const kinds = model.tables(1).map((code) => ({ type: operatorNamed(code.int(3)), version: code.int(2, 1) }))
  const buffers = model.tables(4).map((b) => b.bytes(0))
  const graph = must(model.tables(2)[0], 'subgraph')
  return {
    name: graph.text(4),
    tensors: graph.tables(0).map((t) => tensorFrom(t, buffers)),
    operators: graph.tables(3).map((op) => operatorFrom(op, kinds)),
    inputs: graph.integers(1),
    outputs: graph.integers(2),
  }
}

function operatorNamed(code: number): OperatorName {
  const found = Object.entries(OPERATORS).find(([, schema]) => schema.code === code)
  if (!found) throw problem('TFLITE_FORMAT', `operator ${code} is not one that fewbit writes`)
  return found[0] as OperatorName
}

function tensorFrom(table: Table, buffers: readonly Uint8Array[]): TfTensor {
  const code = table.byte(1)
  const type = Object.entries(TENSOR_TYPES).find(([, t]) => t.code === code)?.[0] as TensorTypeName | undefined
  if (!type) throw problem('TFLITE_FORMAT', `element type ${code} is not one that fewbit writes`)
  const quantization = table.table(4)
  const data = buffers[table.int(2)] ?? new Uint8Array()
  return {
    name: table.text(3),
    type,
    shape: table.integers(0),
    ...(quantization ? { quantization: quantizationFrom(quantization) } : {}),
    ...(data.length > 0 ? { data } : {}),
  }
}

const quantizationFrom = (table: Table): TfQuantization => ({
  scale: table.floats(2),
  zeroPoint: table.longs(3),
  axis: table.int(6),
})

function operatorFrom(table: Table, kinds: readonly { type: OperatorName; version: number }[]): TfOperator {
  const { type, version } = must(kinds[table.int(0)], 'operator code')
  const options = table.table(4)
  const values: Record<string, number> = {}
  for (const [name, field] of Object.entries(OPERATORS[type].fields)) {
    values[name] = options?.field(field.slot, field.type, field.default) ?? field.default
  }
  return { type, version, inputs: table.integers(1), outputs: table.integers(2), options: values }
}

/** One flatbuffer table: fields by slot, through the table's vtable. */
class Table {
  readonly #b: ByteBuffer
  readonly #at: number

  constructor(buffer: ByteBuffer, at: number) {
    this.#b = buffer
    this.#at = at
  }

  field(slot: number, type: 'int8' | 'int32' | 'bool' | 'float32', fallback: number): number {
    if (type === 'int32') return this.int(slot, fallback)
    const at = this.#place(slot)
    if (at === undefined) return fallback
    return type === 'float32' ? this.#b.readFloat32(at) : this.#b.readInt8(at)
  }

  int(slot: number, fallback = 0): number {
    const at = this.#place(slot)
    return at === undefined ? fallback : this.#b.readInt32(at)
  }

  byte(slot: number): number {
    const at = this.#place(slot)
    return at === undefined ? 0 : this.#b.readInt8(at)
  }

  text(slot: number): string {
    return new TextDecoder().decode(this.bytes(slot))
  }

  bytes(slot: number): Uint8Array {
    const { start, length } = this.#vector(slot)
    return this.#b.bytes().slice(start, start + length)
  }

  integers(slot: number): number[] {
    return this.#elements(slot, 4, (at) => this.#b.readInt32(at))
  }

  floats(slot: number): number[] {
    return this.#elements(slot, 4, (at) => this.#b.readFloat32(at))
  }

  longs(slot: number): number[] {
    return this.#elements(slot, 8, (at) => Number(this.#b.readInt64(at)))
  }

  table(slot: number): Table | undefined {
    const at = this.#place(slot)
    return at === undefined ? undefined : new Table(this.#b, this.#b.__indirect(at))
  }

  tables(slot: number): Table[] {
    return this.#elements(slot, 4, (at) => new Table(this.#b, this.#b.__indirect(at)))
  }

  #elements<T>(slot: number, size: number, read: (at: number) => T): T[] {
    const { start, length } = this.#vector(slot)
    return Array.from({ length }, (_, i) => read(start + size * i))
  }

  #vector(slot: number): { start: number; length: number } {
    const at = this.#place(slot)
    if (at === undefined) return { start: 0, length: 0 }
    const start = this.#b.__vector(at)
    const length = this.#b.__vector_len(at)
    invariant(start + length <= this.#b.capacity(), () => 'a vector ends outside the file')
    return { start, length }
  }

  #place(slot: number): number | undefined {
    const offset = this.#b.__offset(this.#at, 4 + 2 * slot)
    return offset === 0 ? undefined : this.#at + offset
  }
}
