import { invariant } from '../util/index.ts'
import type { Attribute } from './attribute.ts'
import { type Graph, Node, Value } from './graph.ts'
import { UniqueNames } from './names.ts'
import type { Tensor } from './tensor.ts'
import type { ValueType } from './types.ts'

export interface OpOptions {
  /** Number of outputs; default 1. */
  readonly outputs?: number
  /** Base of the node's name; default the operator's type. The node gets a free name that begins so. */
  readonly name?: string
  /** Base of the first output's name; default `<node name>_output`. */
  readonly output?: string
  readonly domain?: string
  /** Types of the outputs, where the caller knows them. */
  readonly types?: readonly (ValueType | undefined)[]
}

export interface BuildPlace {
  readonly before?: Node
  readonly after?: Node
}

/**
 * Writes nodes into a graph at one place, with free names. Attributes are made with the helpers of `attribute`, which
 * say whether a number is an int or a float: `b.op('Conv', [x, w], { group: attribute.int(2) })`.
 */
export class GraphBuilder {
  readonly graph: Graph
  readonly #names: UniqueNames
  #place: BuildPlace

  /** @param place where nodes go, in the order of the calls; default the end of the graph. */
  constructor(graph: Graph, place: BuildPlace = {}) {
    this.graph = graph
    this.#names = new UniqueNames(graph)
    this.#place = place
  }

  /** Goes on at another place. */
  moveTo(place: BuildPlace): void {
    this.#place = place
  }

  /** Adds a node with one output and returns that output. `null` inputs are omitted optional ones. */
  op(
    type: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: OpOptions = {},
  ): Value {
    const [first] = this.ops(type, inputs, attributes, options)
    invariant(first, () => `${type} was asked for without outputs`)
    return first
  }

  /** Adds a node with several outputs (`options.outputs`) and returns all of them. */
  ops(
    type: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: OpOptions = {},
  ): Value[] {
    const name = this.#names.node(options.name ?? type)
    const base = options.output ?? `${name}_output`
    const outputs = Array.from({ length: options.outputs ?? 1 }, (_, i) => {
      return new Value(this.#names.value(i === 0 ? base : `${base}_${i}`), options.types?.[i])
    })
    const domain = options.domain ?? ''
    const node = new Node({ opType: type, domain, name, inputs, outputs, attributes: Object.entries(attributes) })
    this.graph.add(node, this.#place)
    if (this.#place.after) this.#place = { after: node }
    return outputs
  }

  /** A value with a free name, for an output that a node did not give so far. */
  value(base: string, type?: ValueType): Value {
    return new Value(this.#names.value(base), type)
  }

  /** An initializer. */
  constant(name: string, tensor: Tensor): Value {
    return this.graph.addInitializer(this.#names.value(name), tensor)
  }

  /** A graph input. */
  input(name: string, type?: ValueType): Value {
    const value = new Value(this.#names.value(name), type)
    this.graph.inputs.push(value)
    return value
  }

  /** Declares a value as an output of the graph. */
  output(value: Value): Value {
    this.graph.outputs.push(value)
    return value
  }
}
