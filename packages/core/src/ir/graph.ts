import { invariant } from '../util/index.ts'
import { type Attribute, subgraphs } from './attribute.ts'
import { NodeList } from './node-list.ts'
import type { Tensor } from './tensor.ts'
import type { ValueType } from './types.ts'

/** Records of the file that the IR carries but does not read: unknown fields, quantization annotations and the like. */
export type Opaque = unknown

/** An edge end: `node.inputs[index]` is the value. */
export interface Use {
  readonly node: Node
  readonly index: number
}

/** One entry of a file's quantization annotation of a value, e.g. key `SCALE_TENSOR`. */
export interface QuantParameter {
  readonly key: string
  readonly parameter: Value
}

/**
 * A named tensor (or sequence, optional, map) in a graph. It is exactly one of: a node's output, an initializer
 * (`constant` set), or a graph input; ONNX also allows an input with a default, which has `constant` and `isInput`.
 */
export class Value {
  name: string
  type: ValueType | undefined
  /** The node that computes this value, or null for inputs and initializers. Set by `Node`. */
  producer: Node | null = null
  /** Position in `producer.outputs`. */
  outputIndex = -1
  /** Initializer data. */
  constant: Tensor | null = null
  /** `quantization_annotation` of the file: values that hold this one's quantization parameters. */
  quantization: readonly QuantParameter[] | null = null
  docString = ''
  /** Saved with the model (`metadata_props`). */
  readonly props = new Map<string, string>()
  /** Scratch for analyses; never saved. */
  readonly meta = new Map<string, unknown>()
  opaque: Opaque = undefined
  readonly #uses = new Map<Node, number>()

  constructor(name: string, type?: ValueType, constant?: Tensor) {
    this.name = name
    this.type = type
    this.constant = constant ?? null
  }

  /** Every edge that reads this value, in the nodes of its graph and of nested graphs; one entry per input position. */
  uses(): Use[] {
    const uses: Use[] = []
    for (const node of this.#uses.keys()) {
      node.inputs.forEach((input, index) => {
        if (input === this) uses.push({ node, index })
      })
    }
    return uses
  }

  /** The distinct nodes that read this value. */
  consumers(): Node[] {
    return [...this.#uses.keys()]
  }

  get useCount(): number {
    let count = 0
    for (const n of this.#uses.values()) count += n
    return count
  }

  /** Bookkeeping for `Node`; not for other callers. */
  addUse(node: Node): void {
    this.#uses.set(node, (this.#uses.get(node) ?? 0) + 1)
  }

  /** Bookkeeping for `Node`; not for other callers. */
  dropUse(node: Node): void {
    const left = (this.#uses.get(node) ?? 0) - 1
    invariant(left >= 0, () => `"${this.name}" is not used by "${node.name}"`)
    if (left === 0) this.#uses.delete(node)
    else this.#uses.set(node, left)
  }
}

export interface NodeInit {
  opType: string
  domain?: string
  name?: string
  inputs?: readonly (Value | null)[]
  outputs?: readonly (Value | null)[]
  attributes?: Iterable<readonly [string, Attribute]>
  overload?: string
}

/** One operator call. Inputs change only through `setInput`, so that use lists stay true. */
export class Node {
  opType: string
  /** '' is ai.onnx. */
  domain: string
  name: string
  overload: string
  docString = ''
  /** The graph that owns this node, or null while detached. Set by `Graph`. */
  graph: Graph | null = null
  readonly attributes: Map<string, Attribute>
  readonly props = new Map<string, string>()
  readonly meta = new Map<string, unknown>()
  opaque: Opaque = undefined
  readonly #inputs: (Value | null)[] = []
  readonly #outputs: (Value | null)[] = []

  constructor(init: NodeInit) {
    this.opType = init.opType
    this.domain = init.domain === 'ai.onnx' ? '' : (init.domain ?? '')
    this.name = init.name ?? ''
    this.overload = init.overload ?? ''
    this.attributes = new Map(init.attributes)
    for (const [i, value] of (init.inputs ?? []).entries()) this.setInput(i, value)
    for (const [i, value] of (init.outputs ?? []).entries()) this.setOutput(i, value)
  }

  /** Null stands for an omitted optional input. */
  get inputs(): readonly (Value | null)[] {
    return this.#inputs
  }

  /** Null stands for an omitted optional output. */
  get outputs(): readonly (Value | null)[] {
    return this.#outputs
  }

  /** `domain::opType`, or just the type for ai.onnx. */
  get qualifiedType(): string {
    return this.domain === '' ? this.opType : `${this.domain}::${this.opType}`
  }

  setInput(index: number, value: Value | null): void {
    while (this.#inputs.length <= index) this.#inputs.push(null)
    this.#inputs[index]?.dropUse(this)
    this.#inputs[index] = value
    value?.addUse(this)
  }

  /** Drops inputs from position `length` on. */
  truncateInputs(length: number): void {
    for (let i = length; i < this.#inputs.length; i++) this.#inputs[i]?.dropUse(this)
    this.#inputs.length = Math.min(length, this.#inputs.length)
  }

  setOutput(index: number, value: Value | null): void {
    invariant(!value?.producer, () => `"${value?.name}" already has a producer`)
    while (this.#outputs.length <= index) this.#outputs.push(null)
    const old = this.#outputs[index]
    if (old) {
      old.producer = null
      old.outputIndex = -1
    }
    this.#outputs[index] = value
    if (value) {
      value.producer = this
      value.outputIndex = index
    }
  }

  /** Drops outputs from position `length` on. Nothing may read them. */
  truncateOutputs(length: number): void {
    for (const output of this.#outputs.slice(length)) {
      invariant(!output || output.useCount === 0, () => `"${output?.name}" is still read`)
      if (output) [output.producer, output.outputIndex] = [null, -1]
    }
    this.#outputs.length = Math.min(length, this.#outputs.length)
  }

  /** The graphs held by attributes (`If`, `Loop`, `Scan`), in attribute order. */
  subgraphs(): Graph[] {
    return [...this.attributes.values()].flatMap((a) => [...subgraphs(a)])
  }
}

/** Nodes in topological order, with the graph's interface and its initializers. */
export class Graph {
  name: string
  docString = ''
  readonly inputs: Value[] = []
  readonly outputs: Value[] = []
  readonly nodes = new NodeList()
  /** Keyed by object, in file order; names are unique because `verify` says so. */
  readonly initializers = new Set<Value>()
  /** The node whose attribute holds this graph; null for a model's main graph and function bodies. */
  owner: Node | null = null
  readonly props = new Map<string, string>()
  opaque: Opaque = undefined

  constructor(name = 'graph') {
    this.name = name
  }

  /** Appends a node, or inserts it before or after another one of this graph. */
  add(node: Node, at: { before?: Node; after?: Node } = {}): Node {
    invariant(node.graph === null, () => `node "${node.name}" already belongs to a graph`)
    this.nodes.insert(node, at)
    node.graph = this
    for (const sub of node.subgraphs()) sub.owner = node
    return node
  }

  /**
   * Takes a node out and clears its edges and those of the graphs that it holds. Its outputs must have no uses left and
   * must not be outputs of the graph. `safeRemove` asks first; `moveNode` keeps the edges.
   */
  remove(node: Node): void {
    invariant(node.graph === this, () => `node "${node.name}" is not in graph "${this.name}"`)
    for (const output of node.outputs) {
      invariant(!output || output.useCount === 0, () => `"${output?.name}" of "${node.name}" is still read`)
      invariant(!output || !this.isOutput(output), () => `"${output?.name}" of "${node.name}" is a graph output`)
    }
    this.nodes.remove(node)
    node.graph = null
    releaseEdges(node)
  }

  addInitializer(name: string, constant: Tensor): Value {
    const value = new Value(name, { kind: 'tensor', dtype: constant.dtype, shape: constant.dims }, constant)
    this.initializers.add(value)
    return value
  }

  isOutput(value: Value): boolean {
    return this.outputs.includes(value)
  }

  isInput(value: Value): boolean {
    return this.inputs.includes(value)
  }
}

/** Clears the inputs of a node and of all nodes nested in it, so that captured outer values forget these readers. */
function releaseEdges(node: Node): void {
  node.truncateInputs(0)
  for (const sub of node.subgraphs()) {
    if (sub.owner === node) for (const inner of sub.nodes) releaseEdges(inner)
  }
}
