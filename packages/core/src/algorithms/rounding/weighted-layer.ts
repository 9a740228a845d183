import { asTensor, type Model, type Node, type Value, valuesByName } from '../../ir/index.ts'
import { intAttribute } from '../../passes/index.ts'
import type { QuantPlan, TensorPlan } from '../../quant/index.ts'
import { must } from '../../util/index.ts'

/**
 * How a node's data input becomes columns of K numbers, each of which meets every row of the weight.
 * `conv`, `convTranspose`: the window's elements, channel by channel (im2col). `rows`: the last axis. `columns`: the last but one.
 */
export interface Unfold {
  readonly kind: 'conv' | 'convTranspose' | 'rows' | 'columns'
  /** Of the data input. */
  readonly channels: number
  readonly kernel: readonly number[]
}

/**
 * A constant weight as `groups` matrices of `rows` × `terms`: output channel r of group g is Σ_k w[g, r, k] · x[g, k], where x is what
 * `unfold` makes of the input.
 */
export interface WeightedLayer {
  readonly tensor: TensorPlan
  readonly weight: Value
  /** Nodes that multiply with this weight; one but for shared weights. */
  readonly nodes: readonly Node[]
  /** Position of the data among the node's inputs. */
  readonly data: number
  readonly unfold: Unfold
  readonly groups: number
  readonly rows: number
  readonly terms: number
  /** Where element (g, r, k), counted row-major, lies in the weight. */
  readonly index: Uint32Array
}

type Geometry = Pick<WeightedLayer, 'data' | 'unfold' | 'groups' | 'rows' | 'terms'> & {
  readonly at: (group: number, row: number, term: number) => number
}

/** Each operator's geometry, from its weight's dims; undefined where it has none of this kind. */
const GEOMETRY: Readonly<Record<string, (node: Node, weight: Value) => Geometry | undefined>> = {
  Conv(node, { constant }) {
    const [m = 1, c = 1, ...kernel] = constant?.dims ?? []
    const groups = intAttribute(node, 'group', 1)
    const [rows, terms] = [m / groups, c * product(kernel)]
    const at = (g: number, r: number, k: number) => (g * rows + r) * terms + k
    return { data: 0, unfold: { kind: 'conv', channels: c * groups, kernel }, groups, rows, terms, at }
  },
  /** W [C, M/g, kernel…]: channel c of the input spreads w[c, m, …] over the outputs around it. */
  ConvTranspose(node, { constant }) {
    const [channels = 1, rows = 1, ...kernel] = constant?.dims ?? []
    const groups = intAttribute(node, 'group', 1)
    const taps = product(kernel)
    const perGroup = channels / groups
    const at = (g: number, r: number, k: number) =>
      ((g * perGroup + Math.floor(k / taps)) * rows + r) * taps + (k % taps)
    return {
      data: 0,
      unfold: { kind: 'convTranspose', channels, kernel },
      ...{ groups, rows, terms: perGroup * taps, at },
    }
  },
  Gemm(node, { constant }) {
    const kind = intAttribute(node, 'transA', 0) === 1 ? 'columns' : 'rows'
    return matrix(constant?.dims ?? [], 0, kind, intAttribute(node, 'transB', 0) === 1)
  },
  MatMul(node, weight) {
    const dims = weight.constant?.dims ?? []
    if (dims.length < 2 || dims.slice(0, -2).some((d) => d !== 1)) return undefined
    const onRight = node.inputs[1] === weight
    return onRight ? matrix(dims.slice(-2), 0, 'rows', false) : matrix(dims.slice(-2), 1, 'columns', true)
  },
}

const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

function matrix(dims: readonly number[], data: number, kind: Unfold['kind'], byRows: boolean): Geometry {
  const [first = 1, second = 1] = dims
  const [rows, terms] = byRows ? [first, second] : [second, first]
  const at = (_: number, r: number, k: number) => (byRows ? r * terms + k : k * rows + r)
  return { data, unfold: { kind, channels: terms, kernel: [] }, groups: 1, rows, terms, at }
}

/** The layers of a plan whose weights can be rounded, in graph order, and why others cannot. */
export function weightedLayers(model: Model, plan: QuantPlan): { layers: WeightedLayer[]; notes: string[] } {
  const values = valuesByName(model.graph)
  const nodes = new Map([...model.graph.nodes].map((node, i) => [node.name, { node, i }]))
  const notes: string[] = []
  const found: { layer: WeightedLayer; order: number }[] = []
  for (const tensor of plan.tensors) {
    if (tensor.role !== 'weight') continue
    const readers = tensor.readers.map((name) => must(nodes.get(name), `node "${name}"`))
    const weight = must(values.get(tensor.value), `constant "${tensor.value}"`)
    const layer = layerOf(
      tensor,
      weight,
      readers.map(({ node }) => node),
    )
    if (typeof layer === 'string') notes.push(`${tensor.value} was left alone: ${layer}`)
    else found.push({ layer, order: Math.min(...readers.map(({ i }) => i)) })
  }
  return { layers: found.sort((a, b) => a.order - b.order).map(({ layer }) => layer), notes }
}

function layerOf(tensor: TensorPlan, weight: Value, nodes: readonly Node[]): WeightedLayer | string {
  const obstacle = obstacleOf(tensor, weight, nodes)
  if (obstacle) return obstacle
  const [geometry, ...others] = nodes.map((node) => GEOMETRY[node.qualifiedType]?.(node, weight))
  if (!geometry) return `${nodes[0]?.qualifiedType} with such a weight is not a product of matrices that is known here`
  const { at, ...facts } = geometry
  const same = others.every((o) => o && o.unfold.kind === facts.unfold.kind && o.groups === facts.groups)
  if (!same) return 'its readers use it in different ways'
  const index = new Uint32Array(facts.groups * facts.rows * facts.terms)
  let i = 0
  for (let g = 0; g < facts.groups; g++)
    for (let r = 0; r < facts.rows; r++) for (let k = 0; k < facts.terms; k++) index[i++] = at(g, r, k)
  return { tensor, weight, nodes, ...facts, index }
}

function obstacleOf({ spec }: TensorPlan, weight: Value, nodes: readonly Node[]): string | undefined {
  if (spec.format) return 'its numbers are not integers on an even grid'
  if (weight.consumers().some((node) => !nodes.includes(node))) return 'another node reads it in another form'
  return asTensor(weight.type)?.dtype === 'float32' ? undefined : 'it is not float32'
}
