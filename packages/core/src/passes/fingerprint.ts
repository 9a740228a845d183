import { type Attribute, type Graph, graphValues, type Model, type Node, type Tensor, type Value } from '../ir/index.ts'
import type { TensorSource } from '../ir/tensor.ts'
import { Digest, digest } from '../util/index.ts'

const digests = new WeakMap<TensorSource, string>()

/** Type, dims and a digest of the elements. The digest of one source is computed once. */
export function tensorKey(tensor: Tensor): string {
  const head = `${tensor.dtype}[${tensor.dims.join(',')}]`
  if (tensor.dtype === 'string') return `${head}${tensor.stringBytes().map(hex).join()}`
  const known = digests.get(tensor.source) ?? digest(tensor.bytes())
  digests.set(tensor.source, known)
  return `${head}${known}`
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')

/** Text that is equal exactly for equal attributes; undefined where equality is not decided (graphs, opaque records). */
function attributeKey(a: Attribute): string | undefined {
  switch (a.kind) {
    case 'graph':
    case 'graphs':
    case 'opaque':
      return undefined
    case 'tensor':
      return `tensor ${tensorKey(a.value)}`
    case 'tensors':
      return `tensors ${a.value.map(tensorKey).join()}`
    case 'string':
      return `string ${hex(a.value)}`
    case 'strings':
      return `strings ${a.value.map(hex).join()}`
    case 'ints':
      return `ints ${a.value.join()}`
    // -0 and 0 are different floats, and JSON has no NaN.
    case 'float':
    case 'floats':
      return `${a.kind} ${[a.value]
        .flat()
        .map((v) => (Object.is(v, -0) ? '-0' : String(v)))
        .join()}`
    case 'reference':
      return `reference ${a.type} ${a.value}`
    case 'int':
      return `int ${a.value}`
    default:
      return `${a.kind} ${JSON.stringify(a.value)}`
  }
}

/** Attributes in the order of their names; undefined if any cannot be compared. */
export function attributesKey(node: Node): string | undefined {
  const keys = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, a]) => [name, attributeKey(a)])
  return keys.some(([, key]) => key === undefined) ? undefined : keys.map((pair) => pair.join('=')).join(';')
}

/**
 * A digest of everything that a pass can change and a saved file can show: interface, nodes, attributes, edges, types and
 * weights. Two models have the same one exactly if no pass changed anything between them.
 */
export function structuralHash(model: Model): string {
  const hash = new Digest()
  hash.update(`${model.irVersion} ${[...model.opsets].sort().join(';')}\n`)
  hash.update(`${[...model.metadata].join(';')}\n`)
  hashGraph(model.graph, hash)
  for (const f of model.functions) {
    hash.update(`function ${f.domain} ${f.name} ${f.overload}\n`)
    hashGraph(f.graph, hash)
  }
  return hash.hex()
}

function hashGraph(graph: Graph, hash: Digest): void {
  hash.update(`graph ${graph.inputs.map(label).join()} -> ${graph.outputs.map(label).join()}\n`)
  for (const value of graphValues(graph)) hash.update(`value ${label(value)} ${JSON.stringify(value.type)}\n`)
  for (const value of graph.initializers) {
    if (value.constant) hash.update(`initializer ${label(value)} ${tensorKey(value.constant)}\n`)
  }
  for (const node of graph.nodes) {
    const attributes = [...node.attributes].map(([name, a]) => `${name}=${attributeKey(a)}`)
    const edges = `${node.inputs.map(label).join()} -> ${node.outputs.map(label).join()}`
    hash.update(`${node.qualifiedType} ${node.overload} ${edges} ${attributes.join(';')}\n`)
    for (const sub of node.subgraphs()) hashGraph(sub, hash)
  }
  hash.update('end\n')
}

const label = (value: Value | null): string => JSON.stringify(value?.name ?? null)
