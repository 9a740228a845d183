import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { invariant, must } from '../util/index.ts'

export type ScalarKind = 'string' | 'bytes' | 'int32' | 'int64' | 'uint64' | 'float' | 'double'

/** What encoder and decoder need to know of one field of onnx.proto. */
export interface Field {
  readonly number: number
  /** Property of the message object. */
  readonly name: string
  readonly kind: ScalarKind | 'message'
  readonly list: boolean
  /** Repeated numbers that are written as one length-delimited block. */
  readonly packed: boolean
  /** Property that holds `{ case, value }` for the members of a oneof. */
  readonly oneof: string | undefined
  readonly message: DescMessage | undefined
  /** Closed set of an enum; numbers outside it are unknown fields (proto2). */
  readonly enumNumbers: ReadonlySet<number> | undefined
}

/** Wire types of the protobuf encoding. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

const SCALARS = new Map<ScalarType, ScalarKind>([
  [ScalarType.STRING, 'string'],
  [ScalarType.BYTES, 'bytes'],
  [ScalarType.INT32, 'int32'],
  [ScalarType.INT64, 'int64'],
  [ScalarType.UINT64, 'uint64'],
  [ScalarType.FLOAT, 'float'],
  [ScalarType.DOUBLE, 'double'],
])

/** Wire type of one unpacked element. */
export const WIRE_OF: Readonly<Record<Field['kind'], number>> = {
  string: WIRE.bytes,
  bytes: WIRE.bytes,
  message: WIRE.bytes,
  int32: WIRE.varint,
  int64: WIRE.varint,
  uint64: WIRE.varint,
  float: WIRE.fixed32,
  double: WIRE.fixed64,
}

const TABLES = new WeakMap<DescMessage, ReadonlyMap<number, Field>>()

/** Fields of a message by number, in ascending order. */
export function fieldsOf(desc: DescMessage): ReadonlyMap<number, Field> {
  let table = TABLES.get(desc)
  if (!table) {
    const sorted = [...desc.fields].sort((a, b) => a.number - b.number)
    table = new Map(sorted.map((field) => [field.number, describe(field)]))
    TABLES.set(desc, table)
  }
  return table
}

function describe(field: DescField): Field {
  return {
    number: field.number,
    name: field.localName,
    kind: kindOf(field),
    list: field.fieldKind === 'list',
    packed: field.fieldKind === 'list' && field.packed,
    oneof: field.oneof?.localName,
    message: field.message,
    enumNumbers: field.enum && new Set(field.enum.values.map((value) => value.number)),
  }
}

function kindOf(field: DescField): Field['kind'] {
  invariant(field.fieldKind !== 'map', () => `${field.parent.typeName}.${field.name} is a map`)
  if (field.message) return 'message'
  if (field.enum) return 'int32'
  return must(SCALARS.get(must(field.scalar, 'scalar type')), `codec of ${field.parent.typeName}.${field.name}`)
}
