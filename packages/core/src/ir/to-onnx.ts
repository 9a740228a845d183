import { create, type Message } from '@bufbuild/protobuf'
import {
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type SparseTensorProto,
  StringStringEntryProtoSchema,
  type TensorAnnotation,
  TensorAnnotationSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf'
import { attributeToProto } from './attribute-proto.ts'
import {
  type FunctionRecord,
  type GraphRecord,
  type ModelRecord,
  type NodeRecord,
  tensorRecord,
} from './file-records.ts'
import type { Graph, Node, Value } from './graph.ts'
import { type FunctionDef, graphValues, type Model } from './model.ts'
import { tensorFromProto, tensorToProto } from './tensor-proto.ts'
import { typeFromProto, typeToProto } from './type-proto.ts'
import { sameType } from './types.ts'

/** The file message of a model. Shares unchanged records with the file that the model came from: treat it as read-only. */
export function modelToOnnx(model: Model): ModelProto {
  const proto = create(ModelProtoSchema, {
    irVersion: BigInt(model.irVersion),
    opsetImport: opsetsToProto(model.opsets),
    graph: graphToProto(model.graph),
    metadataProps: entries(model.metadata),
    functions: model.functions.map(functionToProto),
  })
  setText(proto, 'producerName', model.producerName)
  setText(proto, 'producerVersion', model.producerVersion)
  setText(proto, 'domain', model.domain)
  setText(proto, 'docString', model.docString)
  if (model.modelVersion !== 0n) proto.modelVersion = model.modelVersion
  const record = model.opaque as ModelRecord | undefined
  proto.trainingInfo = [...(record?.trainingInfo ?? [])]
  proto.configuration = [...(record?.configuration ?? [])]
  return withUnknown(proto, record?.unknown)
}

function graphToProto(graph: Graph): GraphProto {
  const proto = create(GraphProtoSchema, {
    node: [...graph.nodes].map(nodeToProto),
    input: graph.inputs.map(valueInfo),
    output: graph.outputs.map(valueInfo),
    valueInfo: innerTypes(graph),
    quantizationAnnotation: annotations(graph),
    metadataProps: entries(graph.props),
  })
  for (const value of graph.initializers) addInitializer(proto, value)
  setText(proto, 'name', graph.name)
  setText(proto, 'docString', graph.docString)
  return withUnknown(proto, (graph.opaque as GraphRecord | undefined)?.unknown)
}

function addInitializer(proto: GraphProto, value: Value): void {
  if (!value.constant) return
  const record = tensorRecord(value.constant)
  if (record?.$typeName === 'onnx.SparseTensorProto') proto.sparseInitializer.push(renamed(record, value.name))
  else proto.initializer.push(tensorToProto(value.constant, value.name))
}

/** A sparse initializer is called by the name of its values. */
function renamed(record: SparseTensorProto, name: string): SparseTensorProto {
  if (!record.values || record.values.name === name) return record
  return { ...record, values: tensorToProto(tensorFromProto(record.values), name) }
}

/** Type entries of everything but inputs and outputs; those of initializers only where the file had them. */
function innerTypes(graph: Graph): ValueInfoProto[] {
  const interfaceValues = new Set([...graph.inputs, ...graph.outputs])
  const inner = [...graphValues(graph)].filter((value) => {
    const known = value.opaque !== undefined || (!value.constant && value.type !== undefined)
    return known && !interfaceValues.has(value)
  })
  const stray = (graph.opaque as GraphRecord | undefined)?.strayTypes ?? []
  const names = new Set([...graphValues(graph)].map((value) => value.name))
  return [...inner.map(valueInfo), ...stray.filter((info) => !names.has(info.name))]
}

function valueInfo(value: Value): ValueInfoProto {
  const record = value.opaque as ValueInfoProto | undefined
  const type = record && sameType(typeFromProto(record.type), value.type) ? record.type : undefined
  const proto = create(ValueInfoProtoSchema, { name: value.name, metadataProps: entries(value.props) })
  if (type) proto.type = type
  else if (value.type) proto.type = typeToProto(value.type)
  else if (record?.type) proto.type = record.type
  setText(proto, 'docString', value.docString)
  return withUnknown(proto, record?.$unknown)
}

function annotations(graph: Graph): TensorAnnotation[] {
  const own = [...graphValues(graph)].flatMap((value) => {
    const parameters = value.quantization?.map(({ key, parameter }) => [key, parameter.name] as const)
    const quantParameterTensorNames = parameters && entries(new Map(parameters))
    return quantParameterTensorNames
      ? [create(TensorAnnotationSchema, { tensorName: value.name, quantParameterTensorNames })]
      : []
  })
  return [...own, ...((graph.opaque as GraphRecord | undefined)?.strayAnnotations ?? [])]
}

function nodeToProto(node: Node): NodeProto {
  const proto = create(NodeProtoSchema, {
    input: node.inputs.map((value) => value?.name ?? ''),
    output: node.outputs.map((value) => value?.name ?? ''),
    name: node.name,
    opType: node.opType,
    attribute: [...node.attributes].map(([name, attribute]) => attributeToProto(name, attribute, graphToProto)),
    metadataProps: entries(node.props),
  })
  setText(proto, 'domain', node.domain)
  setText(proto, 'overload', node.overload)
  setText(proto, 'docString', node.docString)
  const record = node.opaque as NodeRecord | undefined
  proto.deviceConfigurations = [...(record?.deviceConfigurations ?? [])]
  return withUnknown(proto, record?.unknown)
}

function functionToProto(def: FunctionDef): FunctionProto {
  const { graph } = def
  const proto = create(FunctionProtoSchema, {
    name: def.name,
    input: graph.inputs.map((value) => value.name),
    output: graph.outputs.map((value) => value.name),
    attribute: [...def.attributes],
    attributeProto: [...def.attributeDefaults].map(([name, a]) => attributeToProto(name, a, graphToProto)),
    node: [...graph.nodes].map(nodeToProto),
    opsetImport: opsetsToProto(def.opsets),
    valueInfo: functionTypes(graph),
    metadataProps: entries(graph.props),
  })
  setText(proto, 'domain', def.domain)
  setText(proto, 'overload', def.overload)
  setText(proto, 'docString', graph.docString)
  return withUnknown(proto, (def.opaque as FunctionRecord | undefined)?.unknown)
}

/** A function has no typed interface, so its inputs and outputs stand among the other types. */
function functionTypes(graph: Graph): ValueInfoProto[] {
  const typed = [...graphValues(graph)].filter((value) => value.opaque !== undefined || value.type !== undefined)
  return [...typed.map(valueInfo), ...((graph.opaque as GraphRecord | undefined)?.strayTypes ?? [])]
}

const opsetsToProto = (opsets: ReadonlyMap<string, number>) =>
  [...opsets].map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }))

const entries = (map: ReadonlyMap<string, string>) =>
  [...map].map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }))

/** Empty text is left out, as exporters do. */
function setText<K extends string>(proto: { [P in K]: string }, field: K, text: string): void {
  if (text !== '') proto[field] = text
}

function withUnknown<M extends Message>(proto: M, unknown: Message['$unknown']): M {
  if (unknown) proto.$unknown = unknown
  return proto
}
