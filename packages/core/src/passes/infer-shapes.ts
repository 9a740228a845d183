import {
  type Attribute,
  type Dim,
  type FunctionDef,
  type Graph,
  graphValues,
  type Model,
  type Node,
  nestedGraphs,
  sameType,
  type Tensor,
  type Value,
  type ValueType,
} from '../ir/index.ts'
import { type InferredNode, type InferScope, inferNode, nodeLabel, type ValueFacts } from '../ops/infer.ts'
import { type OpRegistry, opsetIn, versionAt } from '../ops/registry.ts'
import { type Diagnostics, FewbitError, must } from '../util/index.ts'
import { mergeTypes } from './merge-types.ts'
import type { Pass } from './pass.ts'

export interface InferShapesOptions {
  readonly ops: OpRegistry
  /** Contradictions between the file's declarations, its operators and their inputs, as warnings. */
  readonly diagnostics?: Diagnostics
  /** False forgets declared types of everything but graph inputs. Default true: they stand where inference is blind. */
  readonly trustDeclared?: boolean
}

interface Fact {
  type?: ValueType | undefined
  elements?: readonly Dim[] | undefined
  constant?: Tensor | undefined
}

/**
 * Infers the type of every value of the main graph and its nested graphs and writes it to `value.type`. Operators that the
 * registry does not know have unknown outputs. Function bodies are inferred at each call and left as they are.
 * @returns whether any type changed.
 */
export function inferShapes(model: Model, options: InferShapesOptions): boolean {
  const inference = new Inference(model, options, model.opsets)
  inference.runGraph(model.graph)
  let changed = false
  for (const graph of nestedGraphs(model.graph)) {
    for (const value of graphValues(graph)) changed = write(value, inference.facts.type(value)) || changed
  }
  return changed
}

/** What inference knows about every value, elements of shape arithmetic included, without writing to the model. */
export function inferFacts(model: Model, options: InferShapesOptions): ValueFacts {
  const inference = new Inference(model, options, model.opsets)
  inference.runGraph(model.graph)
  return inference.facts
}

function write(value: Value, type: ValueType | undefined): boolean {
  const changed = !sameType(value.type, type)
  if (changed) value.type = type
  return changed
}

/** One graph (with its nested graphs), or one call of a function. */
class Inference {
  readonly facts: ValueFacts
  readonly #model: Model
  readonly #options: InferShapesOptions
  readonly #opsets: ReadonlyMap<string, number>
  readonly #table = new Map<Value, Fact>()
  readonly #visited = new Set<Graph>()
  readonly #warned = new Set<string>()
  readonly #calls: readonly FunctionDef[]
  readonly #scope: InferScope

  constructor(
    model: Model,
    options: InferShapesOptions,
    opsets: ReadonlyMap<string, number>,
    calls: readonly FunctionDef[] = [],
    attribute?: (name: string) => Attribute | undefined,
  ) {
    this.#model = model
    this.#options = options
    this.#opsets = opsets
    this.#calls = calls
    this.facts = {
      type: (value) => (this.#table.has(value) ? this.#table.get(value)?.type : this.#declared(value)),
      elements: (value) => this.#table.get(value)?.elements,
      constant: (value) => this.#table.get(value)?.constant,
    }
    const subgraph = (graph: Graph, inputs: readonly (ValueType | undefined)[]) => this.#nested(graph, inputs)
    this.#scope = { facts: this.facts, subgraph, ...(attribute && { attribute }) }
  }

  runGraph(graph: Graph, inputs?: readonly Fact[]): Fact[] {
    this.#visited.add(graph)
    graph.inputs.forEach((value, i) => {
      const given = inputs?.[i]
      this.#table.set(value, { ...given, type: this.#merge(value, given?.type) })
    })
    for (const value of graph.initializers) if (this.#isConstant(value, graph)) this.#setConstant(value)
    for (const node of graph.nodes) this.#runNode(node)
    return graph.outputs.map((value) => this.#table.get(value) ?? { type: this.facts.type(value) })
  }

  /** Before IR version 4 every initializer had to be listed as an input too, and was no less constant for it. */
  #isConstant(value: Value, graph: Graph): boolean {
    return value.constant !== null && (this.#model.irVersion < 4 || !graph.isInput(value))
  }

  #setConstant(value: Value): void {
    const constant = must(value.constant, `data of initializer "${value.name}"`)
    this.#table.set(value, { type: { kind: 'tensor', dtype: constant.dtype, shape: constant.dims }, constant })
  }

  #nested(graph: Graph, inputs: readonly (ValueType | undefined)[]): readonly (ValueType | undefined)[] {
    return this.runGraph(
      graph,
      inputs.map((type) => ({ type })),
    ).map((fact) => fact.type)
  }

  #runNode(node: Node): void {
    const outputs = this.#outputsOf(node)
    node.outputs.forEach((value, i) => {
      if (value) this.#table.set(value, { ...outputs[i], type: this.#merge(value, outputs[i]?.type) })
    })
    for (const graph of node.subgraphs()) if (!this.#visited.has(graph)) this.runGraph(graph)
  }

  #outputsOf(node: Node): readonly Fact[] {
    const called = this.#functionOf(node)
    if (called) return this.#call(called, node)
    const def = this.#options.ops.of(node)
    const version = def && versionAt(def, opsetIn(this.#opsets, def.domain))
    if (!def || version === undefined) return []
    return this.#guard(() => factsOf(inferNode(def, node, version, this.#scope)))
  }

  /** A contradiction in the model costs the types behind it, not the run. */
  #guard(run: () => readonly Fact[]): readonly Fact[] {
    try {
      return run()
    } catch (error) {
      if (!(error instanceof FewbitError)) throw error
      for (const { code, level: _, message, ...detail } of error.diagnostics) this.#warn(code, message, detail)
      return []
    }
  }

  #functionOf(node: Node): FunctionDef | undefined {
    return this.#model.functions.find(
      (f) => f.name === node.opType && f.domain === node.domain && f.overload === node.overload,
    )
  }

  #call(called: FunctionDef, node: Node): readonly Fact[] {
    if (this.#calls.includes(called)) {
      this.#warn('FUNCTION_RECURSION', `function ${node.qualifiedType} calls itself`, { at: { node: nodeLabel(node) } })
      return []
    }
    const attribute = (name: string) => this.#resolve(node.attributes.get(name)) ?? called.attributeDefaults.get(name)
    const body = new Inference(this.#model, this.#options, called.opsets, [...this.#calls, called], attribute)
    return body.runGraph(
      called.graph,
      node.inputs.map((value) => (value ? this.#fact(value) : {})),
    )
  }

  /** An attribute as the outermost caller wrote it. */
  #resolve(attribute: Attribute | undefined): Attribute | undefined {
    return attribute?.kind === 'reference' ? this.#scope.attribute?.(attribute.value) : attribute
  }

  #fact(value: Value): Fact {
    return this.#table.get(value) ?? { type: this.facts.type(value) }
  }

  #declared(value: Value): ValueType | undefined {
    return this.#options.trustDeclared === false && value.producer ? undefined : value.type
  }

  #merge(value: Value, inferred: ValueType | undefined): ValueType | undefined {
    return mergeTypes(inferred, this.#declared(value), (text) =>
      this.#warn('SHAPE_DECLARED', `"${value.name}" ${text}`, { at: { value: value.name } }),
    )
  }

  #warn(code: string, message: string, detail: Parameters<Diagnostics['warn']>[2]): void {
    const key = `${code} ${message} ${JSON.stringify(detail?.at)}`
    if (this.#warned.has(key)) return
    this.#warned.add(key)
    this.#options.diagnostics?.warn(code, message, detail)
  }
}

const factsOf = ({ types, elements, constant }: InferredNode): readonly Fact[] =>
  types.length === 0
    ? [{ elements, constant }]
    : types.map((type, i) => (i === 0 ? { type, elements, constant } : { type }))

/** Writes inferred types to every value. */
export const inferShapesPass: Pass = {
  name: 'infer-shapes',
  summary: 'infers element types and shapes of every value',
  run: (model, { ops, diagnostics }) => ({ modified: inferShapes(model, { ops, diagnostics }) }),
}
