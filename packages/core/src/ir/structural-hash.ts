import { Digest, digest } from '../util/index.ts'
import type { Attribute } from './attribute.ts'
import type { Graph, Node, Value } from './graph.ts'
import type { Model } from './model.ts'
import type { Tensor } from './tensor.ts'
import { printType } from './text.ts'

/**
 * Hash of what a model is, whatever its parts are called and in whichever legal order its nodes stand. Counted: operators,
 * attributes, wiring, tensors, types, opsets, functions, names of the main graph's inputs and outputs, and every node and
 * initializer even if nothing reads it. Not counted: other names, node order, docs, properties, metadata, scratch.
 * Each value hashes its definition, so equal subexpressions hash equally (a Merkle tree over the graph).
 */
export function structuralHash(model: Model): string {
  const functions = model.functions.map((f) => {
    const defaults = sorted([...f.attributeDefaults].map(([name, a]) => [name, attributeHash(a, new Map())]))
    const graph = graphHash(f.graph, new Map())
    return [f.domain, f.name, f.overload, f.attributes, defaults, sorted([...f.opsets]), graph]
  })
  const names = [model.graph.inputs, model.graph.outputs].map((values) => values.map((value) => value.name))
  return hash([sorted([...model.opsets]), names, graphHash(model.graph, new Map()), sorted(functions)])
}

type Hashes = Map<Value, string>

const hash = (parts: unknown): string => digest(JSON.stringify(parts))

const sorted = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => [JSON.stringify(item), item] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, item]) => item)

/** @param outer hashes of the values around a nested graph; extended by the graph's own. */
function graphHash(graph: Graph, outer: Hashes): string {
  const values = new Map(outer)
  const constants = [...graph.initializers].map((value) => {
    const own = hash(['constant', tensorHash(value.constant), printType(value.type)])
    values.set(value, own)
    return own
  })
  graph.inputs.forEach((value, i) => {
    values.set(value, hash(['input', outer.size, i, printType(value.type), tensorHash(value.constant)]))
  })
  const nodes = [...graph.nodes].map((node) => nodeHash(node, values))
  const find = (value: Value) => values.get(value) ?? 'undefined'
  return hash([graph.inputs.map(find), sorted(constants), sorted(nodes), graph.outputs.map(find)])
}

function nodeHash(node: Node, values: Hashes): string {
  const attributes = sorted([...node.attributes].map(([name, a]) => [name, attributeHash(a, values)]))
  const inputs = node.inputs.map((value) => value && (values.get(value) ?? 'undefined'))
  const outputs = node.outputs.map((value) => value && printType(value.type))
  const own = hash([node.qualifiedType, node.overload, attributes, inputs, outputs])
  node.outputs.forEach((value, i) => {
    if (value) values.set(value, hash([own, i]))
  })
  return own
}

function attributeHash(a: Attribute, values: Hashes): string {
  switch (a.kind) {
    case 'tensor':
    case 'tensors':
      return hash([a.kind, [a.value].flat().map(tensorHash)])
    case 'graph':
    case 'graphs':
      return hash([a.kind, [a.value].flat().map((g) => graphHash(g, values))])
    case 'opaque':
      return a.kind
    case 'string':
      return hash([a.kind, [...a.value]])
    case 'strings':
      return hash([a.kind, a.value.map((bytes) => [...bytes])])
    case 'float':
    case 'floats':
      // JSON knows neither NaN nor -0.
      return hash([a.kind, [a.value].flat().map((v) => (Object.is(v, -0) ? '-0' : String(v)))])
    case 'int':
    case 'ints':
      return hash([a.kind, [a.value].flat().map(String)])
    default:
      return hash(a)
  }
}

/** Tensors never change, and weights are large: each is read once. */
const TENSOR_HASHES = new WeakMap<Tensor, string>()

function tensorHash(tensor: Tensor | null): string {
  if (!tensor) return ''
  let known = TENSOR_HASHES.get(tensor)
  if (known === undefined) {
    const parts = tensor.dtype === 'string' ? tensor.stringBytes() : [tensor.bytes()]
    const content = new Digest().update(JSON.stringify([tensor.dtype, tensor.dims, parts.map((p) => p.byteLength)]))
    for (const part of parts) content.update(part)
    known = content.hex()
    TENSOR_HASHES.set(tensor, known)
  }
  return known
}
