import { asTensor, GraphBuilder, type Model, type Node, Tensor, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { AlgorithmContext, FloatAlgorithm } from './algorithm.ts'
import { channelExtremes } from './channel-statistics.ts'
import {
  ABSORBING_RULES,
  type ChannelGraph,
  channelGraph,
  labelledAxes,
  type ScaledConstant,
  scaleChannels,
  scaleNorms,
} from './channels/index.ts'

export interface SmoothQuantOptions {
  readonly alpha: number
  readonly insert: boolean
}

/**
 * SmoothQuant (Xiao et al. 2023, arXiv:2211.10438). Activations in front of products have channels with outliers, weights do not: each
 * channel j is divided by
 *
 *     s_j = max|X_j|^α / max|W_j|^(1 − α)                             (equation 4)
 *
 * and its weights multiplied by s_j. The division goes into what makes the channel: normalization, a layer or a constant factor.
 */
export const smoothquant: FloatAlgorithm<SmoothQuantOptions> = {
  name: 'smoothquant',
  stage: 'float',
  title: 'SmoothQuant',
  summary: 'moves outliers from the channels that matrix products read into their weights',
  source: 'Xiao 2023, arXiv:2211.10438',
  options: {
    alpha: { summary: 'share of the spread that moves from activations to weights', default: 0.5, least: 0, most: 1 },
    insert: { summary: 'inserts a Mul where nothing in front of a product can take up the division', default: false },
  },
  needsData: true,
  preserves: 1e-4,
  async apply(cx, { alpha, insert }) {
    const first = channelGraph(cx.model, cx.ops, ABSORBING_RULES)
    const blocked = products(first).filter(({ input, ids }) => input && ids.every((id) => first.classes.find(id) === 0))
    const values = new Set(blocked.map(({ input }) => input))
    if (insert) for (const value of values) multiplyByOne(cx.model, value, blocked)
    const graph = insert && values.size > 0 ? channelGraph(cx.model, cx.ops, ABSORBING_RULES) : first
    const factors = await smoothing(graph, alpha, cx)
    const factor = (id: number): number => factors.get(graph.classes.find(id)) ?? 1
    const changed = scaleChannels(graph, factor)
    scaleNorms(cx.norms, graph, factor)
    const left = insert ? [] : blocked.map(({ node }) => `nothing in front of ${node.name} takes up a division`)
    return { changed: changed.map(({ name }) => name), notes: left, details: { channels: factors.size } }
  },
}

interface Product {
  readonly node: Node
  readonly constant: ScaledConstant
  readonly input: Value
  /** Class of each input channel. */
  readonly ids: readonly number[]
}

/** The matrix products with constant weights. */
function products({ constants }: ChannelGraph): Product[] {
  return constants.flatMap((constant) => {
    const { node, role, tensor, down } = constant
    if (role !== 'weight' || !['MatMul', 'Gemm'].includes(node.opType)) return []
    const input = must(node.inputs[0], 'input')
    return [{ node, constant, input, ids: [...new Set(Array.from({ length: tensor.size }, (_, i) => down(i)))] }]
  })
}

/** Puts a factor that does nothing yet in front of the products that read a value. */
function multiplyByOne(model: Model, value: Value, blocked: readonly Product[]): void {
  const readers = blocked.filter(({ input }) => input === value).map(({ node }) => node)
  const type = asTensor(value.type)
  const channels = type?.shape?.at(-1)
  if (typeof channels !== 'number' || !type) return
  const b = new GraphBuilder(model.graph, { before: must(readers[0], 'reader') })
  const ones = Tensor.fromNumbers(type.dtype, [channels], new Float64Array(channels).fill(1))
  const scaled = b.op('Mul', [value, b.constant(`${value.name}_smooth`, ones)], {}, { types: [value.type] })
  for (const reader of readers) reader.setInput(0, scaled)
}

/** 1/s by class, for classes that matrix products read. */
async function smoothing(graph: ChannelGraph, alpha: number, cx: AlgorithmContext): Promise<Map<number, number>> {
  const read = products(graph)
  const weights = new Map<number, number>()
  for (const { constant } of read) {
    for (const [i, w] of constant.tensor.numbers().entries()) {
      const root = graph.classes.find(constant.down(i))
      if (root !== 0) weights.set(root, Math.max(weights.get(root) ?? 0, Math.abs(w)))
    }
  }
  const inputs = new Set(read.map(({ input }) => input))
  const axes = new Map([...labelledAxes(graph)].filter(([value]) => inputs.has(value)))
  const activations = new Map<number, number>()
  for (const [value, { min, max }] of await channelExtremes(cx, axes)) {
    for (const [c, id] of must(graph.labels.get(value), 'labels').ids.entries()) {
      const root = graph.classes.find(id)
      const range = Math.max(max[c] as number, -(min[c] as number))
      if (root !== 0) activations.set(root, Math.max(activations.get(root) ?? 0, range))
    }
  }
  const usable = [...weights].filter(([root, w]) => w > 0 && (activations.get(root) ?? 0) > 0)
  return new Map(usable.map(([root, w]) => [root, w ** (1 - alpha) / (activations.get(root) as number) ** alpha]))
}
