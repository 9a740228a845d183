import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
} from 'onnx-buf'
import { problem } from '../util/index.ts'
import type { Attribute } from './attribute.ts'
import { attributeRecord, rememberAttribute } from './file-records.ts'
import type { Graph } from './graph.ts'
import { tensorFromProto, tensorToProto } from './tensor-proto.ts'
import { typeFromProto, typeToProto } from './type-proto.ts'
import type { ValueType } from './types.ts'

/** @param readGraph reads a nested graph in the scope of the node. */
export function attributeFromProto(proto: AttributeProto, readGraph: (graph: GraphProto) => Graph): Attribute {
  return rememberAttribute(parse(proto, readGraph), proto)
}

function parse(proto: AttributeProto, readGraph: (graph: GraphProto) => Graph): Attribute {
  const type = typeOf(proto)
  if (proto.refAttrName !== '') return { kind: 'reference', value: proto.refAttrName, type: AttributeType[type] }
  switch (type) {
    case AttributeType.FLOAT:
      return { kind: 'float', value: proto.f }
    case AttributeType.INT:
      return { kind: 'int', value: proto.i }
    case AttributeType.STRING:
      return { kind: 'string', value: proto.s }
    case AttributeType.TENSOR:
      return { kind: 'tensor', value: tensorFromProto(present(proto, proto.t)) }
    case AttributeType.GRAPH:
      return { kind: 'graph', value: readGraph(present(proto, proto.g)) }
    case AttributeType.FLOATS:
      return { kind: 'floats', value: proto.floats }
    case AttributeType.INTS:
      return { kind: 'ints', value: proto.ints }
    case AttributeType.STRINGS:
      return { kind: 'strings', value: proto.strings }
    case AttributeType.TENSORS:
      return { kind: 'tensors', value: proto.tensors.map(tensorFromProto) }
    case AttributeType.GRAPHS:
      return { kind: 'graphs', value: proto.graphs.map(readGraph) }
  }
  const types = [...(proto.tp ? [proto.tp] : []), ...proto.typeProtos].map(typeFromProto)
  if (!types.every((t): t is ValueType => t !== undefined)) return { kind: 'opaque', value: proto }
  if (type === AttributeType.TYPE_PROTO && types[0]) return { kind: 'type', value: types[0] }
  return type === AttributeType.TYPE_PROTOS ? { kind: 'types', value: types } : { kind: 'opaque', value: proto }
}

const SINGLE_FIELDS = [
  ['f', AttributeType.FLOAT],
  ['i', AttributeType.INT],
  ['s', AttributeType.STRING],
  ['t', AttributeType.TENSOR],
  ['g', AttributeType.GRAPH],
  ['tp', AttributeType.TYPE_PROTO],
] as const

const LIST_FIELDS = [
  ['floats', AttributeType.FLOATS],
  ['ints', AttributeType.INTS],
  ['strings', AttributeType.STRINGS],
  ['tensors', AttributeType.TENSORS],
  ['graphs', AttributeType.GRAPHS],
  ['typeProtos', AttributeType.TYPE_PROTOS],
] as const

/** The first IR versions did not require `type`; there, the field that is set tells. */
function typeOf(proto: AttributeProto): AttributeType {
  if (proto.type !== AttributeType.UNDEFINED) return proto.type
  const single = SINGLE_FIELDS.find(([field]) => Object.hasOwn(proto, field))
  const list = LIST_FIELDS.find(([field]) => proto[field].length > 0)
  return single?.[1] ?? list?.[1] ?? AttributeType.UNDEFINED
}

function present<T>(proto: AttributeProto, value: T | undefined): T {
  if (value !== undefined) return value
  throw problem('ONNX_ATTRIBUTE', `attribute "${proto.name}" has type ${AttributeType[proto.type]} but no value`)
}

/** The file's own record for an attribute that came from one, except that graphs, which can change, are written anew. */
export function attributeToProto(
  name: string,
  attribute: Attribute,
  writeGraph: (graph: Graph) => GraphProto,
): AttributeProto {
  const record = attributeRecord(attribute)
  const nested = attribute.kind === 'graph' || attribute.kind === 'graphs'
  if (record && record.name === name && !nested) return record
  const proto = create(AttributeProtoSchema, { name, ...fieldsFor(attribute, writeGraph) })
  if (record?.docString) proto.docString = record.docString
  if (record?.$unknown) proto.$unknown = record.$unknown
  return proto
}

type AttributeFields = Partial<Omit<AttributeProto, '$typeName' | '$unknown'>>
type Bytes = Uint8Array<ArrayBuffer>

function fieldsFor(attribute: Attribute, writeGraph: (graph: Graph) => GraphProto): AttributeFields {
  switch (attribute.kind) {
    case 'float':
      return { type: AttributeType.FLOAT, f: attribute.value }
    case 'int':
      return { type: AttributeType.INT, i: attribute.value }
    case 'string':
      return { type: AttributeType.STRING, s: attribute.value as Bytes }
    case 'tensor':
      return { type: AttributeType.TENSOR, t: tensorToProto(attribute.value, undefined) }
    case 'graph':
      return { type: AttributeType.GRAPH, g: writeGraph(attribute.value) }
    case 'type':
      return { type: AttributeType.TYPE_PROTO, tp: typeToProto(attribute.value) }
    case 'floats':
      return { type: AttributeType.FLOATS, floats: [...attribute.value] }
    case 'ints':
      return { type: AttributeType.INTS, ints: [...attribute.value] }
    case 'strings':
      return { type: AttributeType.STRINGS, strings: [...attribute.value] as Bytes[] }
    case 'tensors':
      return { type: AttributeType.TENSORS, tensors: attribute.value.map((t) => tensorToProto(t, undefined)) }
    case 'graphs':
      return { type: AttributeType.GRAPHS, graphs: attribute.value.map(writeGraph) }
    case 'types':
      return { type: AttributeType.TYPE_PROTOS, typeProtos: attribute.value.map(typeToProto) }
    case 'reference':
      return { type: AttributeType[attribute.type as keyof typeof AttributeType], refAttrName: attribute.value }
    case 'opaque':
      return attribute.value as AttributeFields
  }
}
