import {
  asTensor,
  attribute,
  GraphBuilder,
  type Model,
  type Node,
  Tensor,
  tensorType,
  type Value,
} from '../ir/index.ts'
import { RuleContext } from '../passes/index.ts'
import { must } from '../util/index.ts'
import type { AlgorithmContext, FloatAlgorithm } from './algorithm.ts'
import { largestMagnitude, setConstant } from './channels/index.ts'
import { takeSlices, type WeightedLayer, weightedLayer } from './splitting/split-layer.ts'

export interface ChannelSplitOptions {
  readonly ratio: number
  readonly bits: number
  readonly copy: boolean
}

/**
 * Outlier channel splitting (Zhao et al. 2019, arXiv:1901.09504). The input channel that holds the largest weight is read twice, with half
 * the weights each, until a share of the channels has been added; the weights' range falls with every outlier that is halved. Halves are
 * placed so that their codes add up to the code of the whole (section 3.3): w/2 − Δ/4 and w/2 + Δ/4 with Δ the step of the grid.
 */
export const channelSplit: FloatAlgorithm<ChannelSplitOptions> = {
  name: 'channel-split',
  stage: 'float',
  title: 'Outlier channel splitting',
  summary: 'reads input channels with outlier weights twice, with half the weight each',
  source: 'Zhao 2019, arXiv:1901.09504',
  options: {
    ratio: { summary: 'channels to add, as a share of a layer’s input channels', default: 0.05, least: 0, most: 1 },
    bits: { summary: 'bits of the weights, whose step decides where halves lie', default: 8, least: 2, most: 16 },
    copy: {
      summary: 'copies channels with a Gather where the layer that makes them cannot make them twice',
      default: false,
    },
  },
  needsData: false,
  preserves: 1e-4,
  async apply(cx, options) {
    const rules = new RuleContext(cx.model, cx.ops)
    const layers = [...cx.model.graph.nodes].flatMap((node) => weightedLayer(node, rules) ?? [])
    const changed: string[] = []
    let added = 0
    for (const layer of layers) {
      const { sources, weight } = splitWeight(layer, options)
      const path = makersOf(layer, rules)
      const extra = sources.length - (layer.weight.dims[layer.inAxis] as number)
      if (extra === 0 || (!path && !options.copy)) continue
      if (path) duplicate(path, sources, cx, rules)
      else gather(layer.node, sources, cx.model)
      setConstant(layer.node, 1, weight, rules)
      changed.push(layer.node.name)
      added += extra
    }
    return { changed, details: { layers: layers.length, split: changed.length, channels: added } }
  },
}

/** For each input channel after splitting the one that it comes from, and the weight that reads them. */
function splitWeight({ weight, inAxis }: WeightedLayer, { ratio, bits }: ChannelSplitOptions) {
  const channels = weight.dims[inAxis] as number
  const ranges = Array.from({ length: channels }, (_, c) => largestMagnitude(takeSlices(weight, inAxis, [c])))
  const sources = ranges.map((_, c) => c)
  const halves: { from: number; to: number }[] = []
  for (let k = 0; k < Math.ceil(ratio * channels); k++) {
    const from = ranges.indexOf(Math.max(...ranges))
    if ((ranges[from] as number) === 0) break
    ranges[from] = (ranges[from] as number) / 2
    halves.push({ from, to: ranges.length })
    ranges.push(ranges[from] as number)
    sources.push(sources[from] as number)
  }
  const step = Math.max(...ranges) / (2 ** (bits - 1) - 1)
  return { sources, weight: halved(takeSlices(weight, inAxis, sources), inAxis, halves, step) }
}

/** Carries the halvings out, in order, on a tensor in which the new slices are still copies. */
function halved(tensor: Tensor, axis: number, halves: readonly { from: number; to: number }[], step: number): Tensor {
  const values = Float64Array.from(tensor.numbers())
  const inner = tensor.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  const size = tensor.dims[axis] as number
  for (const { from, to } of halves) {
    for (let block = 0; block < values.length; block += inner * size) {
      for (let i = 0; i < inner; i++) {
        const [a, b] = [block + from * inner + i, block + to * inner + i]
        const w = values[a] as number
        // A weight of zero has nothing to add up to.
        const shift = w === 0 ? 0 : step / 4
        values[a] = w / 2 - shift
        values[b] = w / 2 + shift
      }
    }
  }
  return Tensor.fromNumbers(tensor.dtype, tensor.dims, values)
}

/** A layer and the values from its output to the reader's input, all of which nobody else reads. */
interface Makers {
  readonly layer: WeightedLayer
  readonly values: readonly Value[]
}

/** The layer that makes what a layer reads, through operators that treat channels alike. */
function makersOf({ node }: WeightedLayer, cx: RuleContext): Makers | undefined {
  const spatial = isSpatial(node)
  const values: Value[] = []
  for (let value = node.inputs[0]; value; ) {
    const maker = value.producer
    if (!maker || value.useCount !== 1 || cx.isOutput(value) || maker.graph !== node.graph) return undefined
    values.push(value)
    const layer = weightedLayer(maker, cx)
    if (layer) return isSpatial(maker) === spatial && hasPlainBias(layer) ? { layer, values } : undefined
    const isUnary = maker.inputs.length === 1 && cx.hasTrait(maker, 'elementwise')
    if (!isUnary && !(spatial && cx.hasTrait(maker, 'channelwise') && maker.outputs.length === 1)) return undefined
    value = maker.inputs[0] ?? null
  }
  return undefined
}

const isSpatial = ({ opType }: Node): boolean => opType === 'Conv' || opType === 'ConvTranspose'

function hasPlainBias({ node, weight, outAxis }: WeightedLayer): boolean {
  const bias = node.inputs[2]
  return !bias || bias.constant?.dims.at(-1) === weight.dims[outAxis]
}

/** Lets the layer make these of its channels, in this order. */
function duplicate(
  { layer, values }: Makers,
  sources: readonly number[],
  cx: AlgorithmContext,
  rules: RuleContext,
): void {
  const { node, weight, outAxis } = layer
  setConstant(node, 1, takeSlices(weight, outAxis, sources), rules)
  const bias = node.inputs[2]?.constant
  if (bias) setConstant(node, 2, takeSlices(bias, bias.dims.length - 1, sources), rules)
  for (const value of values) {
    const type = asTensor(value.type)
    const axis = isSpatial(node) ? 1 : (type?.shape?.length ?? 0) - 1
    if (type?.shape) value.type = tensorType(type.dtype, type.shape.with(axis, sources.length))
    const moments = cx.norms.get(value.name)
    const take = (list: Float64Array) => Float64Array.from(sources, (c) => list[c] as number)
    if (moments) cx.norms.set(value.name, { mean: take(moments.mean), std: take(moments.std) })
  }
}

/** Copies channels in front of one reader. */
function gather(node: Node, sources: readonly number[], model: Model): void {
  const value = must(node.inputs[0], 'input')
  const type = asTensor(value.type)
  const axis = isSpatial(node) ? 1 : (type?.shape?.length ?? 2) - 1
  const shape = type?.shape?.with(axis, sources.length)
  const b = new GraphBuilder(model.graph, { before: node })
  const indices = b.constant(`${value.name}_channels`, Tensor.int64([sources.length], sources))
  const types = type && shape ? { types: [tensorType(type.dtype, shape)] } : {}
  node.setInput(0, b.op('Gather', [value, indices], { axis: attribute.int(axis) }, types))
}
