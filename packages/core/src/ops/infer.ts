import {
  type Attribute,
  asTensor,
  type Dim,
  elementCount,
  type Graph,
  type Node,
  type Shape,
  Tensor,
  type Value,
  type ValueType,
} from '../ir/index.ts'
import { dtypeInfo, problem } from '../util/index.ts'
import type { AttrSchema, AttrValues, InferContext, OpDef } from './define-op.ts'
import { signatureAt } from './signature.ts'

/** What is known about values while a graph is inferred. */
export interface ValueFacts {
  type(value: Value): ValueType | undefined
  constant(value: Value): Tensor | undefined
  elements(value: Value): readonly Dim[] | undefined
}

/** Everything around a node that its rules may ask for. */
export interface InferScope {
  readonly facts: ValueFacts
  /** Infers a nested graph; without it nested graphs have unknown outputs. */
  readonly subgraph?: (graph: Graph, inputs: readonly (ValueType | undefined)[]) => readonly (ValueType | undefined)[]
  /** Inside a function body: the caller's attribute. */
  readonly attribute?: (name: string) => Attribute | undefined
}

export interface InferredNode {
  readonly types: readonly (ValueType | undefined)[]
  /** Of output 0. */
  readonly elements: readonly Dim[] | undefined
  /** Of output 0. */
  readonly constant: Tensor | undefined
}

/** Shape arithmetic is on shapes, axes and scales: longer tensors are data. */
const MAX_ELEMENTS = 1024

/** What the IR itself says: `value.type` and initializers. Enough for rules that run after shape inference. */
export const DECLARED_FACTS: ValueFacts = {
  type: (value) => value.type,
  constant: (value) => (value.producer ? undefined : (value.constant ?? undefined)),
  elements: () => undefined,
}

/** A node's name as messages show it. */
export const nodeLabel = (node: Node): string => node.name || `${node.qualifiedType} → ${node.outputs[0]?.name ?? '?'}`

/**
 * Attributes in the form that code wants, with the version's defaults.
 * @param resolve gives the caller's attribute for references inside function bodies.
 * @throws FewbitError ATTRIBUTE_MISSING or ATTRIBUTE_KIND, naming node and attribute.
 */
export function readAttrs<S extends AttrSchema>(
  def: OpDef<S>,
  node: Node,
  version: number,
  resolve?: InferScope['attribute'],
): AttrValues<S> {
  const { attrs } = signatureAt(def as OpDef, version)
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(def.attrs)) values[name] = spec.default
  for (const [name, spec] of Object.entries(attrs)) {
    const written = node.attributes.get(name)
    const attribute = written?.kind === 'reference' ? resolve?.(written.value) : written
    if (attribute) values[name] = readAttr(node, name, () => spec.read(name, attribute))
    else if (spec.required && written?.kind !== 'reference') throw missing(node, name)
    else values[name] = spec.default
  }
  return values as AttrValues<S>
}

function readAttr<T>(node: Node, name: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw problem('ATTRIBUTE_KIND', `${node.opType}: attribute "${name}" cannot be read: ${text}`, place(node), cause)
  }
}

const place = (node: Node) => ({ at: { node: nodeLabel(node) } })

const missing = (node: Node, name: string) =>
  problem('ATTRIBUTE_MISSING', `${node.opType} needs the attribute "${name}"`, place(node))

/** The context that a definition's rules see. Attributes are read once, at once. */
export function inferContext<S extends AttrSchema>(
  def: OpDef<S>,
  node: Node,
  version: number,
  scope: InferScope = { facts: DECLARED_FACTS },
): InferContext<S> {
  const { facts } = scope
  const at = (i: number): Value | undefined => node.inputs[i] ?? undefined
  const typeOf = (i: number): ValueType | undefined => mapValue(at(i), facts.type)
  return {
    node,
    version,
    attrs: readAttrs(def, node, version, scope.attribute),
    inputCount: node.inputs.length,
    outputCount: node.outputs.length,
    inputType: typeOf,
    input: (i) => asTensor(typeOf(i)),
    constant: (i) => mapValue(at(i), (value) => constantOf(value, facts)),
    elements: (i) => mapValue(at(i), (value) => (rankOf(value, facts) > 1 ? undefined : flatElementsOf(value, facts))),
    flatElements: (i) => mapValue(at(i), (value) => flatElementsOf(value, facts)),
    subgraph(name, inputs) {
      const a = node.attributes.get(name)
      return a?.kind === 'graph' ? (scope.subgraph?.(a.value, inputs) ?? a.value.outputs.map(() => undefined)) : []
    },
    mismatch(message) {
      throw problem('SHAPE_MISMATCH', `${node.opType}: ${message}`, place(node))
    },
  }
}

const mapValue = <T>(value: Value | undefined, f: (value: Value) => T | undefined): T | undefined =>
  value === undefined ? undefined : f(value)

function constantOf(value: Value, facts: ValueFacts): Tensor | undefined {
  const constant = facts.constant(value)
  if (constant) return constant
  const elements = facts.elements(value)
  const type = asTensor(facts.type(value))
  if (!elements?.every((e) => typeof e === 'number') || !type || elementCount(type.shape) !== elements.length) return
  return Tensor.fromNumbers(type.dtype, type.shape as readonly number[], elements)
}

/** An unknown rank counts as 1: only rules that compute shapes record elements. */
const rankOf = (value: Value, facts: ValueFacts): number => asTensor(facts.type(value))?.shape?.length ?? 1

function flatElementsOf(value: Value, facts: ValueFacts): readonly Dim[] | undefined {
  const known = facts.elements(value)
  if (known) return known
  const constant = facts.constant(value)
  if (constant) return constantElements(constant)
  return blankElements(asTensor(facts.type(value))?.shape)
}

/** The elements of a small numeric constant, row by row. */
export function constantElements(constant: Tensor): readonly number[] | undefined {
  const { kind } = dtypeInfo(constant.dtype)
  if (constant.size > MAX_ELEMENTS || kind === 'string' || kind === 'complex') return
  return Array.from(constant.numbers())
}

/** As many unknowns as the type says there are elements. */
function blankElements(shape: Shape | undefined): readonly null[] | undefined {
  const count = elementCount(shape)
  return count !== undefined && count <= MAX_ELEMENTS ? Array<null>(count).fill(null) : undefined
}

/**
 * Runs an operator's rules on one node. Unknown is undefined, never an error.
 * @throws FewbitError SHAPE_MISMATCH or ATTRIBUTE_*, naming the node, where the model contradicts the operator.
 */
export function inferNode(def: OpDef, node: Node, version: number, scope?: InferScope): InferredNode {
  const cx = inferContext(def, node, version, scope)
  const types = def.infer?.(cx) ?? []
  const elements = def.elements?.(cx)
  const useful = elements && elements.length <= MAX_ELEMENTS && elements.some((e) => e !== null)
  return { types, elements: useful ? elements : undefined, constant: def.constant?.(cx) }
}
