import { asTensor, type Model, type Node, Tensor, type Value } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { channelVector, Decline, floatAttribute, linearLayer, RuleContext, setBias } from '../passes/index.ts'
import { must } from '../util/index.ts'

/** A linear layer with a constant bias that nobody else reads: a number for each channel of its output. */
export interface BiasedLayer {
  /** Conv, ConvTranspose, Gemm or MatMul. */
  readonly node: Node
  readonly weight: Value
  /** The initializer that is added. */
  readonly bias: Value
  /** What the bias has been added to: the layer's output, or that of the Add behind a MatMul. */
  readonly output: Value
  readonly channels: number
  /** Axis of the channels in the output, counted from the front, and the output's rank. */
  readonly axis: number
  readonly rank: number
}

/** Gives each Conv, ConvTranspose and Gemm with constant weights a bias of its own: zeros where it has none, a copy where it shares one. */
export function giveOwnBiases(model: Model, ops: OpRegistry): void {
  const cx = new RuleContext(model, ops)
  for (const node of model.graph.nodes) {
    const layer = linearLayer(node, cx)
    if (!layer || layer instanceof Decline) continue
    const bias = node.inputs[2]
    const isOwn = bias && cx.hasOneUse(bias) && bias.constant?.size === layer.outChannels
    if (!isOwn || floatAttribute(node, 'beta', 1) !== 1) setBias(layer, layer.bias, cx)
  }
}

/** Layers of the main graph whose bias can be changed, in graph order. */
export function biasedLayers(model: Model, ops: OpRegistry): BiasedLayer[] {
  const cx = new RuleContext(model, ops)
  return [...model.graph.nodes].flatMap(
    (node) => (node.qualifiedType === 'MatMul' ? addedBias(node, cx) : ownBias(node, cx)) ?? [],
  )
}

function ownBias(node: Node, cx: RuleContext): BiasedLayer | undefined {
  const layer = linearLayer(node, cx)
  const [, , bias] = node.inputs
  const [output] = node.outputs
  if (!layer || layer instanceof Decline || !bias || !output || !cx.hasOneUse(bias)) return undefined
  if (cx.constant(bias)?.size !== layer.outChannels || floatAttribute(node, 'beta', 1) !== 1) return undefined
  const rank = layer.tensor.dims.length
  return { node, weight: layer.weight, bias, output, channels: layer.outChannels, axis: 1, rank }
}

/** MatMul has no bias; what its only reader adds to it, one number for each column, is one. */
function addedBias(node: Node, cx: RuleContext): BiasedLayer | undefined {
  const [, weight] = node.inputs
  const [product] = node.outputs
  const [add] = product?.consumers() ?? []
  const output = add?.outputs[0]
  if (!weight || !product || !add || !output || add.qualifiedType !== 'Add' || !cx.hasOneUse(product)) return undefined
  const bias = add.inputs.find((value) => value !== product)
  const [constant, tensor] = [cx.constant(bias), cx.constant(weight)]
  const rank = asTensor(output.type)?.shape?.length
  const channels = tensor?.dims[1]
  if (!bias || !constant || tensor?.dims.length !== 2 || channels === undefined || !rank || !cx.hasOneUse(bias))
    return undefined
  if (constant.dims.length > rank || constant.size !== channels) return undefined
  if (!channelVector(constant, channels, constant.dims.length - 1)) return undefined
  return { node, weight, bias, output, channels, axis: rank - 1, rank }
}

/** Adds a number to each channel's bias. */
export function shiftBias({ bias }: BiasedLayer, shift: ArrayLike<number>): void {
  const old = must(bias.constant, `bias "${bias.name}"`)
  const numbers = Float64Array.from(old.numbers(), (b, c) => b + (shift[c] as number))
  bias.constant = Tensor.fromNumbers(old.dtype, old.dims, numbers)
}
