import { type Attribute, subgraphs } from './attribute.ts'
import { Graph, Node, Value } from './graph.ts'
import { type FunctionDef, Model } from './model.ts'

/**
 * Copies graphs with fresh nodes and values. Tensors, types and opaque records are immutable and shared; `meta` is scratch
 * and is not copied. `values` maps originals to copies; a value that is read but was not copied (an outer value captured by
 * a nested graph) stays the same object, so that a cloned branch may stand beside the original one.
 */
export class Cloner {
  readonly values = new Map<Value, Value>()
  readonly nodes = new Map<Node, Node>()

  /** The copy of a value: made on first sight for definitions, looked up for reads. */
  define(value: Value): Value {
    const known = this.values.get(value)
    if (known) return known
    const copy = new Value(value.name, value.type, value.constant ?? undefined)
    copy.quantization = value.quantization
    copyNotes(value, copy)
    this.values.set(value, copy)
    return copy
  }

  read(value: Value): Value {
    return this.values.get(value) ?? value
  }

  /** A detached copy of a node, nested graphs included. Its outputs are new values. */
  node(node: Node): Node {
    const copy = new Node({
      opType: node.opType,
      domain: node.domain,
      name: node.name,
      overload: node.overload,
      inputs: node.inputs.map((value) => value && this.read(value)),
      outputs: node.outputs.map((value) => value && this.define(value)),
      attributes: [...node.attributes].map(([name, attribute]) => [name, this.attribute(attribute)] as const),
    })
    copyNotes(node, copy)
    this.nodes.set(node, copy)
    return copy
  }

  attribute(attribute: Attribute): Attribute {
    if (attribute.kind === 'graph') return { kind: 'graph', value: this.graph(attribute.value) }
    if (attribute.kind === 'graphs') return { kind: 'graphs', value: subgraphs(attribute).map((g) => this.graph(g)) }
    return attribute
  }

  /** A copy of a whole graph, without an owner until the node that holds it is added somewhere. */
  graph(graph: Graph): Graph {
    const copy = new Graph(graph.name)
    copyNotes(graph, copy)
    copy.inputs.push(...graph.inputs.map((value) => this.define(value)))
    for (const value of graph.initializers) copy.initializers.add(this.define(value))
    for (const node of graph.nodes) copy.add(this.node(node))
    copy.outputs.push(...graph.outputs.map((value) => this.read(value)))
    for (const value of copy.initializers) this.#remapAnnotation(value)
    for (const node of copy.nodes) for (const output of node.outputs) if (output) this.#remapAnnotation(output)
    for (const value of copy.inputs) this.#remapAnnotation(value)
    return copy
  }

  function(def: FunctionDef): FunctionDef {
    return { ...def, graph: this.graph(def.graph) }
  }

  #remapAnnotation(value: Value): void {
    if (value.quantization) {
      value.quantization = value.quantization.map(({ key, parameter }) => ({ key, parameter: this.read(parameter) }))
    }
  }
}

/** What nodes, values and graphs all carry along. */
function copyNotes(from: Node | Value | Graph, to: Node | Value | Graph): void {
  to.docString = from.docString
  to.opaque = from.opaque
  for (const [key, text] of from.props) to.props.set(key, text)
}

/** A copy whose graphs can be edited without touching the original; tensors are shared. */
export function cloneModel(model: Model, cloner: Cloner = new Cloner()): Model {
  const copy = new Model(cloner.graph(model.graph))
  copyHeader(model, copy)
  for (const def of model.functions) copy.functions.push(cloner.function(def))
  return copy
}

/** Everything of a model but its graph and functions. */
export function copyHeader(from: Model, to: Model): void {
  to.irVersion = from.irVersion
  to.producerName = from.producerName
  to.producerVersion = from.producerVersion
  to.domain = from.domain
  to.modelVersion = from.modelVersion
  to.docString = from.docString
  to.opaque = from.opaque
  for (const [domain, version] of from.opsets) to.opsets.set(domain, version)
  for (const [key, text] of from.metadata) to.metadata.set(key, text)
}
