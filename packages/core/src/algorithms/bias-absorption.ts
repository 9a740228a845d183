import type { Node, Value } from '../ir/index.ts'
import { Decline, floatAttribute, type LinearLayer, linearLayer, setBias } from '../passes/index.ts'
import { must } from '../util/index.ts'
import type { AlgorithmContext, FloatAlgorithm } from './algorithm.ts'
import { channelExtremes } from './channel-statistics.ts'
import { type ChannelGraph, channelGraph, idsAlong, shiftRules } from './channels/index.ts'

export interface BiasAbsorptionOptions {
  readonly source: 'auto' | 'norms' | 'data'
  readonly sigmas: number
  readonly padding: 'exact' | 'ignore'
}

/**
 * Bias absorption (Nagel et al. 2019, arXiv:1906.04721, section 4.1.3). A channel that is nearly always above c before its ReLU passes it
 * unchanged, so that r(h − c) = r(h) − c, and c may move from this layer's bias into the next layer's:
 *
 *     b1 ← b1 − c,   b2 ← b2 + W2·c,   c = max(0, β − 3γ).
 *
 * What is left needs a smaller range. β and γ are what BatchNormalization remembers; without it, c is the least value on the data.
 */
export const biasAbsorption: FloatAlgorithm<BiasAbsorptionOptions> = {
  name: 'bias-absorption',
  stage: 'float',
  title: 'Bias absorption',
  summary: 'moves high biases through ReLU into the next layer, so that activations need smaller ranges',
  source: 'Nagel 2019, arXiv:1906.04721',
  options: {
    source: {
      summary:
        'how low a channel gets: what BatchNormalization remembers, the least value on the data, or the first where it is known and the second where there are data',
      default: 'auto',
      choices: ['auto', 'norms', 'data'],
    },
    sigmas: { summary: 'standard deviations below the mean that still count as always', default: 3, least: 0 },
    padding: {
      summary:
        'layers with padding are left alone (exact), or get the bias of places without padding everywhere (ignore)',
      default: 'exact',
      choices: ['exact', 'ignore'],
    },
  },
  needsData: { when: { source: 'data' } },
  preserves: 'approximate',
  async apply(cx, options) {
    const graph = channelGraph(cx.model, cx.ops, shiftRules(options.padding === 'ignore'))
    const shifts = await shiftsFor(graph, options, cx)
    const shiftOf = (id: number): number => shifts.get(graph.classes.find(id)) ?? 0
    const changed = shiftChannels(graph, shiftOf)
    shiftNorms(graph, shiftOf, cx)
    const largest = Math.max(0, ...shifts.values())
    return { changed: changed.map(({ name }) => name), details: { channels: shifts.size, largest } }
  },
}

/** c of each class that is free, where it is above zero; where several layers make a class, the least. */
async function shiftsFor(graph: ChannelGraph, options: BiasAbsorptionOptions, cx: AlgorithmContext) {
  const floors = await floorsOf(graph, options, cx)
  const found = new Map<number, number>()
  const known = new Set<number>()
  for (const [ids, floor] of floors) {
    for (const [c, id] of ids.entries()) {
      const root = graph.classes.find(id)
      if (root === 0) continue
      const own = Math.max(0, floor?.[c] ?? 0)
      found.set(root, known.has(root) ? Math.min(own, found.get(root) as number) : own)
      known.add(root)
    }
  }
  return new Map([...found].filter(([, c]) => c > 0))
}

/** For what each layer makes, the classes of its channels and a bound that they stay above. */
async function floorsOf(graph: ChannelGraph, { source, sigmas }: BiasAbsorptionOptions, cx: AlgorithmContext) {
  const made = layersOf(graph).map((node) => must(node.outputs[0], 'output'))
  const moments = (value: Value) => (source === 'data' ? undefined : cx.norms.get(value.name))
  const open = source === 'norms' || !cx.data ? [] : made.filter((value) => !moments(value))
  const measured = await channelExtremes(cx, new Map(open.map((value) => [value, 1])))
  return made.map((value) => {
    const known = moments(value)
    const floor = known ? known.mean.map((m, c) => m - sigmas * (known.std[c] as number)) : measured.get(value)?.min
    return [graph.labels.get(value)?.ids ?? new Int32Array(0), floor] as const
  })
}

const layersOf = ({ constants }: ChannelGraph): Node[] =>
  constants.filter(({ role }) => role === 'weight').map(({ node }) => node)

/** Subtracts the shift from what layers make, and gives it to the bias of the layers that read. */
function shiftChannels(graph: ChannelGraph, shiftOf: (id: number) => number): Node[] {
  const changed: Node[] = []
  for (const constant of graph.constants) {
    if (constant.role !== 'weight') continue
    const layer = linearLayer(constant.node, graph.cx)
    if (layer === undefined || layer instanceof Decline) continue
    const bias = layer.bias.slice()
    subtractOwn(bias, graph.labels.get(must(layer.node.outputs[0], 'output'))?.ids, shiftOf)
    addOfInputs(bias, layer, (i) => shiftOf(constant.down(i)))
    if (bias.every((b, o) => b === layer.bias[o])) continue
    setBias(layer, bias, graph.cx)
    changed.push(layer.node)
  }
  return changed
}

function subtractOwn(bias: Float64Array, ids: Int32Array | undefined, shiftOf: (id: number) => number): void {
  for (const [o, id] of (ids ?? []).entries()) bias[o] = (bias[o] as number) - shiftOf(id)
}

/** W·c, each weight with the shift of the channel that it reads. */
function addOfInputs(bias: Float64Array, layer: LinearLayer, shiftAt: (index: number) => number): void {
  const alpha = floatAttribute(layer.node, 'alpha', 1)
  for (const [i, w] of layer.tensor.numbers().entries()) {
    const o = layer.outChannelOf(i)
    bias[o] = (bias[o] as number) + alpha * w * shiftAt(i)
  }
}

function shiftNorms({ labels }: ChannelGraph, shiftOf: (id: number) => number, { norms }: AlgorithmContext): void {
  for (const [value, known] of labels) {
    const moments = norms.get(value.name)
    const ids = moments && idsAlong(known, 1, moments.mean.length)
    if (ids) norms.set(value.name, { ...moments, mean: moments.mean.map((m, c) => m - shiftOf(ids[c] as number)) })
  }
}
