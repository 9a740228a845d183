import type { FunctionProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, ValueInfoProto } from 'onnx-buf'
import { Diagnostics, type Place, problem } from '../util/index.ts'
import type { Attribute } from './attribute.ts'
import { attributeFromProto } from './attribute-proto.ts'
import type { FunctionRecord, GraphRecord, ModelRecord, NodeRecord } from './file-records.ts'
import { Graph, Node, Value } from './graph.ts'
import { type FunctionDef, Model } from './model.ts'
import { NamePool, nameNodes, uniquifyValues } from './names.ts'
import { tensorFromProto, tensorFromSparse } from './tensor-proto.ts'
import { sortTopologically } from './traverse.ts'
import { typeFromProto } from './type-proto.ts'
import { tensorType } from './types.ts'

export interface FromOnnxOptions {
  /** Receives warnings, such as ONNX_UNSORTED. */
  readonly diagnostics?: Diagnostics
}

/**
 * Turns a decoded file into a model. Names become references; nodes without a unique name get one; names that sibling or
 * nested graphs use twice are made unique; a nested graph that returns an outer value gets an Identity node; unsorted
 * nodes are sorted. Everything else survives `modelToOnnx` unchanged.
 * @throws FewbitError ONNX_DANGLING_NAME, ONNX_DUPLICATE_NAME, ONNX_CYCLE and the tensor errors of the file layer.
 */
export function modelFromOnnx(proto: ModelProto, options: FromOnnxOptions = {}): Model {
  if (!proto.graph) throw problem('ONNX_NO_GRAPH', 'the file holds no graph', { fix: 'check that it is an ONNX model' })
  const reader = new GraphReader(options.diagnostics ?? new Diagnostics())
  const model = new Model(reader.graph(proto.graph, null))
  readHeader(proto, model)
  model.functions.push(...proto.functions.map((f) => reader.function(f)))
  nameEverything(model)
  return model
}

function readHeader(proto: ModelProto, model: Model): void {
  model.irVersion = Number(proto.irVersion)
  model.producerName = proto.producerName
  model.producerVersion = proto.producerVersion
  model.domain = proto.domain
  model.modelVersion = proto.modelVersion
  model.docString = proto.docString
  for (const { domain, version } of proto.opsetImport) model.opsets.set(plainDomain(domain), Number(version))
  // Before IR version 3 there was no opset_import; operators were those of opset 1 (onnx/docs/Versioning.md).
  if (model.opsets.size === 0 && model.irVersion < 3) model.opsets.set('', 1)
  fill(model.metadata, proto.metadataProps)
  const { $unknown: unknown, trainingInfo, configuration } = proto
  const extra = unknown !== undefined || trainingInfo.length > 0 || configuration.length > 0
  if (extra) model.opaque = { unknown, trainingInfo, configuration } satisfies ModelRecord
}

function nameEverything(model: Model): void {
  const nodeNames = new NamePool()
  for (const graph of [model.graph, ...model.functions.map((f) => f.graph)]) {
    nameNodes(graph, nodeNames)
    uniquifyValues(graph)
  }
}

const plainDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain)

function fill(map: Map<string, string>, entries: readonly StringStringEntryProto[]): void {
  for (const { key, value } of entries) map.set(key, value)
}

/** Names visible in a graph: its own, then those of the graphs around it. */
class Scope {
  readonly own = new Map<string, Value>()
  readonly #parent: Scope | null

  constructor(parent: Scope | null) {
    this.#parent = parent
  }

  find(name: string): Value | undefined {
    return this.own.get(name) ?? this.#parent?.find(name)
  }

  define(name: string, value: Value, at: Place): Value {
    if (name === '') throw problem('ONNX_NO_NAME', 'an input or initializer has no name', { at })
    if (this.own.has(name)) {
      throw problem('ONNX_DUPLICATE_NAME', `"${name}" is defined twice in one graph`, {
        at: { ...at, value: name },
        fix: 'export the model again; every value must have one definition',
      })
    }
    this.own.set(name, value)
    return value
  }
}

class GraphReader {
  readonly #diagnostics: Diagnostics

  constructor(diagnostics: Diagnostics) {
    this.#diagnostics = diagnostics
  }

  graph(proto: GraphProto, parent: Scope | null): Graph {
    const graph = new Graph(proto.name)
    const scope = new Scope(parent)
    graph.docString = proto.docString
    fill(graph.props, proto.metadataProps)
    for (const info of proto.input) graph.inputs.push(scope.define(info.name, new Value(info.name), {}))
    readInitializers(proto, graph, scope)
    this.#nodes(proto.node, graph, scope)
    const strayTypes = describeValues([...proto.input, ...proto.output, ...proto.valueInfo], graph, scope)
    const strayAnnotations = annotate(proto, scope)
    readOutputs(
      proto.output.map((info) => info.name),
      graph,
      scope,
    )
    this.#sort(graph)
    const unknown = proto.$unknown
    const extra = unknown !== undefined || strayTypes.length > 0 || strayAnnotations.length > 0
    if (extra) graph.opaque = { unknown, strayTypes, strayAnnotations } satisfies GraphRecord
    return graph
  }

  function(proto: FunctionProto): FunctionDef {
    const graph = new Graph(proto.name)
    const scope = new Scope(null)
    graph.docString = proto.docString
    fill(graph.props, proto.metadataProps)
    for (const name of proto.input) graph.inputs.push(scope.define(name, new Value(name), {}))
    this.#nodes(proto.node, graph, scope)
    const strayTypes = describeValues(proto.valueInfo, graph, scope)
    readOutputs(proto.output, graph, scope)
    this.#sort(graph)
    if (strayTypes.length > 0) {
      graph.opaque = { unknown: undefined, strayTypes, strayAnnotations: [] } satisfies GraphRecord
    }
    const defaults = proto.attributeProto.map((a) => [a.name, this.#attribute(a, scope)] as const)
    return {
      domain: plainDomain(proto.domain),
      name: proto.name,
      overload: proto.overload,
      graph,
      attributes: proto.attribute,
      attributeDefaults: new Map(defaults),
      opsets: new Map(proto.opsetImport.map((o) => [plainDomain(o.domain), Number(o.version)])),
      opaque: proto.$unknown && ({ unknown: proto.$unknown } satisfies FunctionRecord),
    }
  }

  /** Outputs are defined before inputs are looked up, so that the order of nodes does not matter. */
  #nodes(protos: readonly NodeProto[], graph: Graph, scope: Scope): void {
    for (const proto of protos) {
      for (const name of proto.output) if (name !== '') scope.define(name, new Value(name), { node: proto.name })
    }
    for (const proto of protos) graph.add(this.#node(proto, scope))
  }

  #node(proto: NodeProto, scope: Scope): Node {
    const at = { node: proto.name || proto.output[0] || proto.opType }
    const node = new Node({
      opType: proto.opType,
      domain: proto.domain,
      name: proto.name,
      overload: proto.overload,
      inputs: proto.input.map((name) => (name === '' ? null : lookUp(name, scope, at))),
      outputs: proto.output.map((name) => scope.own.get(name) ?? null),
    })
    for (const attribute of proto.attribute) {
      if (node.attributes.has(attribute.name)) {
        throw problem('ONNX_DUPLICATE_NAME', `attribute "${attribute.name}" is given twice`, { at })
      }
      node.attributes.set(attribute.name, this.#attribute(attribute, scope))
    }
    node.docString = proto.docString
    fill(node.props, proto.metadataProps)
    const { $unknown: unknown, deviceConfigurations } = proto
    if (unknown || deviceConfigurations.length > 0) node.opaque = { unknown, deviceConfigurations } satisfies NodeRecord
    return node
  }

  #attribute(proto: NodeProto['attribute'][number], scope: Scope): Attribute {
    return attributeFromProto(proto, (nested) => this.graph(nested, scope))
  }

  #sort(graph: Graph): void {
    if (!sortTopologically(graph)) return
    this.#diagnostics.warn('ONNX_UNSORTED', `the nodes of graph "${graph.name}" were not in order and have been sorted`)
  }
}

function lookUp(name: string, scope: Scope, at: Place): Value {
  const value = scope.find(name)
  if (value) return value
  throw problem('ONNX_DANGLING_NAME', `"${name}" is read, but nothing defines it`, {
    at: { ...at, value: name },
    fix: 'export the model again; the file is incomplete',
  })
}

function readInitializers(proto: GraphProto, graph: Graph, scope: Scope): void {
  const named = [
    ...proto.initializer.map((tensor) => ({ name: tensor.name, read: () => tensorFromProto(tensor) })),
    ...proto.sparseInitializer.map((tensor) => ({
      name: tensor.values?.name ?? '',
      read: () => tensorFromSparse(tensor),
    })),
  ]
  for (const { name, read } of named) {
    // Up to IR version 3, every initializer is listed as an input too; later that means an input with a default.
    const input = scope.own.get(name)
    const value = input && !graph.initializers.has(input) ? input : scope.define(name, new Value(name), { value: name })
    value.constant = read()
    value.type = tensorType(value.constant.dtype, value.constant.dims)
    graph.initializers.add(value)
  }
}

/** Attaches types, docs and properties to values; the first entry for a name wins. Returns entries for unknown names. */
function describeValues(infos: readonly ValueInfoProto[], graph: Graph, scope: Scope): ValueInfoProto[] {
  const stray: ValueInfoProto[] = []
  const inputs = new Set(graph.inputs)
  for (const info of infos) {
    const value = scope.own.get(info.name)
    if (!value) {
      if (!scope.find(info.name)) stray.push(info)
      continue
    }
    if (value.opaque !== undefined) continue
    value.opaque = info
    // An initializer that is no input has the type of its tensor, whatever the entry says.
    if (!value.constant || inputs.has(value)) value.type = typeFromProto(info.type) ?? value.type
    value.docString = info.docString
    fill(value.props, info.metadataProps)
  }
  return stray
}

function annotate(proto: GraphProto, scope: Scope): GraphRecord['strayAnnotations'] {
  return proto.quantizationAnnotation.filter((annotation) => {
    const value = scope.own.get(annotation.tensorName)
    const entries = annotation.quantParameterTensorNames.map(({ key, value: name }) => ({
      key,
      parameter: scope.find(name),
    }))
    const known = entries.filter((e): e is { key: string; parameter: Value } => e.parameter !== undefined)
    if (!value || value.quantization || known.length < entries.length) return true
    value.quantization = known
    return false
  })
}

function readOutputs(names: readonly string[], graph: Graph, scope: Scope): void {
  for (const name of names) {
    const value = lookUp(name, scope, {})
    graph.outputs.push(scope.own.has(name) ? value : returned(graph, value))
  }
}

/** Runtimes refuse nested graphs that return an outer value as it is; inside, every output has its own definition. */
function returned(graph: Graph, outer: Value): Value {
  const copy = new Value(outer.name, outer.type)
  graph.add(new Node({ opType: 'Identity', inputs: [outer], outputs: [copy] }))
  return copy
}
