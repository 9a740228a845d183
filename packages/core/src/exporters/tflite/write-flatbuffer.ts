import { Builder, type Offset } from 'flatbuffers'
import { must } from '../../util/index.ts'
import type { TfGraph, TfOperator, TfQuantization, TfTensor } from './graph.ts'
import {
  FILE_IDENTIFIER,
  type Field,
  OPERATORS,
  type OperatorName,
  type OperatorSchema,
  SCHEMA_VERSION,
  TENSOR_TYPES,
} from './schema.ts'

/** Codes up to here also stand in the byte that readers of older schemas look at; 127 says "look at the new field". */
const LAST_OLD_CODE = 127

/** The bytes of a TFLite file with one subgraph. Equal graphs give equal bytes. */
export function writeFlatbuffer(graph: TfGraph, description: string): Uint8Array {
  const b = new Builder(1024)
  const kinds = operatorKinds(graph)
  const buffers = tables(
    b,
    [undefined, ...graph.tensors.filter((t) => t.data).map((t) => t.data)].map((data) => bufferOf(b, data)),
  )
  const subgraphs = tables(b, [subgraphOf(b, graph, kinds)])
  const codes = tables(
    b,
    [...kinds.values()].map(({ type, version }) => operatorCodeOf(b, type, version)),
  )
  const text = b.createString(description)
  b.startObject(5)
  b.addFieldInt32(0, SCHEMA_VERSION, 0)
  b.addFieldOffset(1, codes, 0)
  b.addFieldOffset(2, subgraphs, 0)
  b.addFieldOffset(3, text, 0)
  b.addFieldOffset(4, buffers, 0)
  b.finish(b.endObject(), FILE_IDENTIFIER)
  return b.asUint8Array().slice()
}

interface OperatorKind {
  readonly type: OperatorName
  readonly version: number
  readonly index: number
}

const kindKey = ({ type, version }: { type: OperatorName; version: number }): string => `${type} ${version}`

/** Each operator and version once, in order of first use. */
function operatorKinds({ operators }: TfGraph): Map<string, OperatorKind> {
  const kinds = new Map<string, OperatorKind>()
  for (const { type, version } of operators) {
    const key = kindKey({ type, version })
    if (!kinds.has(key)) kinds.set(key, { type, version, index: kinds.size })
  }
  return kinds
}

function operatorCodeOf(b: Builder, type: OperatorName, version: number): Offset {
  const { code } = OPERATORS[type]
  b.startObject(4)
  b.addFieldInt8(0, Math.min(code, LAST_OLD_CODE), 0)
  b.addFieldInt32(2, version, 1)
  b.addFieldInt32(3, code, 0)
  return b.endObject()
}

function bufferOf(b: Builder, data: Uint8Array | undefined): Offset {
  // Kernels read constants in place, 16 bytes at a time.
  const bytes = data && bytesVector(b, data, 16)
  b.startObject(1)
  if (bytes !== undefined) b.addFieldOffset(0, bytes, 0)
  return b.endObject()
}

function bytesVector(b: Builder, data: Uint8Array, alignment: number): Offset {
  b.startVector(1, data.length, alignment)
  // `prep` above reserved the room and the alignment; the builder fills from the end.
  for (let i = data.length - 1; i >= 0; i--) b.writeInt8(data[i] as number)
  return b.endVector()
}

function subgraphOf(b: Builder, graph: TfGraph, kinds: ReadonlyMap<string, OperatorKind>): Offset {
  let buffer = 0
  const tensors = tables(
    b,
    graph.tensors.map((tensor) => tensorOf(b, tensor, tensor.data ? ++buffer : 0)),
  )
  const operators = tables(
    b,
    graph.operators.map((op) => operatorOf(b, op, must(kinds.get(kindKey(op)), 'kind').index)),
  )
  const [inputs, outputs] = [integers(b, graph.inputs), integers(b, graph.outputs)]
  const name = b.createString(graph.name)
  b.startObject(5)
  b.addFieldOffset(0, tensors, 0)
  b.addFieldOffset(1, inputs, 0)
  b.addFieldOffset(2, outputs, 0)
  b.addFieldOffset(3, operators, 0)
  b.addFieldOffset(4, name, 0)
  return b.endObject()
}

function tensorOf(b: Builder, tensor: TfTensor, buffer: number): Offset {
  const shape = integers(b, tensor.shape)
  const name = b.createString(tensor.name)
  const quantization = tensor.quantization && quantizationOf(b, tensor.quantization)
  b.startObject(9)
  b.addFieldOffset(0, shape, 0)
  b.addFieldInt8(1, TENSOR_TYPES[tensor.type].code, 0)
  b.addFieldInt32(2, buffer, 0)
  b.addFieldOffset(3, name, 0)
  if (quantization !== undefined) b.addFieldOffset(4, quantization, 0)
  b.addFieldInt8(8, 1, 0)
  return b.endObject()
}

function quantizationOf(b: Builder, { scale, zeroPoint, axis }: TfQuantization): Offset {
  const scales = vector(b, 4, scale, (s) => b.addFloat32(s))
  const zeros = vector(b, 8, zeroPoint, (z) => b.addInt64(BigInt(z)))
  b.startObject(7)
  b.addFieldOffset(2, scales, 0)
  b.addFieldOffset(3, zeros, 0)
  b.addFieldInt32(6, axis, 0)
  return b.endObject()
}

function operatorOf(b: Builder, { type, inputs, outputs, options }: TfOperator, kind: number): Offset {
  const schema: OperatorSchema = OPERATORS[type]
  const [ins, outs] = [integers(b, inputs), integers(b, outputs)]
  const table = schema.options === 0 ? undefined : optionsOf(b, schema, options)
  b.startObject(5)
  b.addFieldInt32(0, kind, 0)
  b.addFieldOffset(1, ins, 0)
  b.addFieldOffset(2, outs, 0)
  b.addFieldInt8(3, schema.options, 0)
  if (table !== undefined) b.addFieldOffset(4, table, 0)
  return b.endObject()
}

function optionsOf(b: Builder, schema: OperatorSchema, options: Readonly<Record<string, number>>): Offset {
  b.startObject(1 + Math.max(-1, ...Object.values(schema.fields).map((field) => field.slot)))
  for (const [name, field] of Object.entries(schema.fields)) addField(b, field, options[name] ?? field.default)
  return b.endObject()
}

function addField(b: Builder, field: Field, value: number): void {
  if (field.type === 'float32') b.addFieldFloat32(field.slot, value, field.default)
  else if (field.type === 'int32') b.addFieldInt32(field.slot, value, field.default)
  else b.addFieldInt8(field.slot, value, field.default)
}

const tables = (b: Builder, offsets: readonly Offset[]): Offset => vector(b, 4, offsets, (o) => b.addOffset(o))
const integers = (b: Builder, values: readonly number[]): Offset => vector(b, 4, values, (v) => b.addInt32(v))

/** Vectors are filled from the end. */
function vector<T>(b: Builder, bytes: number, values: readonly T[], add: (value: T) => void): Offset {
  b.startVector(bytes, values.length, bytes)
  for (const value of [...values].reverse()) add(value)
  return b.endVector()
}
