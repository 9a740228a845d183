import type { Node, Value } from '../ir/index.ts'
import { defaultOps, inputRole } from '../ops/index.ts'
import type { QuantParams, TensorPlan } from '../quant/index.ts'
import type { Holds } from './completeness.ts'
import type { ExportContext } from './define.ts'
import { activationEncodings, type Encoding, movesElements, planned } from './encodings.ts'

/** A node that sums products with an encoded constant weight. */
export interface Layer {
  readonly node: Node
  readonly data: Value
  /** Absent where only the weight is quantized. */
  readonly input?: QuantParams
  readonly weight: Encoding
}

/** Layers in graph order, for formats that are keyed by layer. */
export function weightedLayers(cx: ExportContext): Layer[] {
  const encoded = activationEncodings(cx)
  const weights = planned(cx, 'weight')
  const layers: Layer[] = []
  for (const node of cx.model.graph.nodes) {
    const [data] = node.inputs
    const weight = weights.find(({ tensor }) => isWeightOf(tensor, node, cx))
    if (!data || !weight) continue
    const input = encoded.get(data.name)
    layers.push({ node, data, weight, ...(input ? { input } : {}) })
  }
  return layers
}

export const groupsOf = (node: Node): number => intAttribute(node, 'group', 1)

/** One scale for each output channel, also where the weight has one scale. */
export function scalesOfChannels({ node, weight: { params } }: Layer): readonly number[] {
  const { scale } = params
  return scale.length > 1 ? scale : Array.from({ length: outputChannels(node) }, () => scale[0] as number)
}

function outputChannels(node: Node): number {
  const dims = node.inputs[1]?.constant?.dims ?? []
  if (node.opType === 'ConvTranspose') return (dims[1] ?? 1) * groupsOf(node)
  const first = node.opType === 'Conv' || intAttribute(node, 'transB', 0) === 1
  return (first ? dims[0] : dims.at(-1)) ?? 1
}

function intAttribute(node: Node, name: string, otherwise: number): number {
  const found = node.attributes.get(name)
  return found?.kind === 'int' ? Number(found.value) : otherwise
}

export const fusedNodes = ({ plan }: ExportContext): Set<string> =>
  new Set(plan.nodes.filter((n) => n.decision === 'fused').map((n) => n.node))

/** Where the kernel of a node hands over its result: behind what it absorbs. */
export function resultsOf(node: Node, fused: ReadonlySet<string>): Value[] {
  const [reader, ...others] = node.outputs[0]?.consumers() ?? []
  if (reader && others.length === 0 && fused.has(reader.name)) return resultsOf(reader, fused)
  return node.outputs.filter((value) => value !== null)
}

/** Constants that nodes take in codes beside their data, such as the addend of an Add: planned like weights, and none. */
export function operands(cx: ExportContext): Encoding[] {
  const weights = new Set(weightedLayers(cx).map(({ weight }) => weight.tensor))
  return planned(cx, 'weight').filter(({ tensor }) => !weights.has(tensor))
}

function isWeightOf({ value, readers }: TensorPlan, node: Node, { ops = defaultOps }: ExportContext): boolean {
  const def = ops.of(node)
  if (!def || !readers.includes(node.name)) return false
  return node.inputs.some((input, i) => input?.name === value && inputRole(def, i) === 'weight')
}

/**
 * Tables that hold nothing but the inputs and weights of layers of these types, and the inputs of `others`, which have no weights:
 * tensors that anybody else reads in codes, and constants that are no weights, have no place.
 */
export function inputsOfLayers(cx: ExportContext, types: readonly string[], others: readonly string[] = []): Holds {
  const layers = weightedLayers(cx).filter(({ node, input }) => input && types.includes(node.qualifiedType))
  const nodes = [...layers.map(({ node }) => node), ...nodesInCodes(cx, others)]
  const keyed = new Set(nodes.map((node) => node.name))
  const told = toldBy(nodes, cx)
  const passing = new Set([...cx.model.graph.nodes].filter((node) => movesElements(node, cx)).map((node) => node.name))
  const list = [...types, ...others].join(', ')
  return ({ role, value, readers, graphOutput }) => {
    if (role === 'bias' || role === 'fill') return true
    if (role === 'weight') {
      return (
        layers.some(({ weight }) => weight.tensor.value === value) || `it holds weights of quantized ${list} nodes only`
      )
    }
    const stranger = readers.some((reader) => !keyed.has(reader) && !passing.has(reader))
    return (!stranger && !graphOutput && told.has(value)) || `it holds inputs of ${list} nodes only`
  }
}

/** Nodes of these types that compute in codes. */
export function nodesInCodes({ model, plan }: ExportContext, types: readonly string[]): Node[] {
  const integer = new Set(plan.nodes.filter((n) => n.decision === 'integer').map((n) => n.node))
  return [...model.graph.nodes].filter((node) => integer.has(node.name) && types.includes(node.qualifiedType))
}

/** First inputs of these nodes, and what is moved into them on the same scale. */
function toldBy(nodes: readonly Node[], cx: ExportContext): Set<string> {
  const encoded = activationEncodings(cx)
  const told = new Set(nodes.flatMap(({ inputs }) => inputs[0]?.name ?? []))
  for (const node of [...cx.model.graph.nodes].reverse()) {
    const [source] = node.inputs
    if (!source || !movesElements(node, cx)) continue
    const params = encoded.get(source.name)
    const isTold = node.outputs.some((value) => value && told.has(value.name) && encoded.get(value.name) === params)
    if (isTold) told.add(source.name)
  }
  return told
}
