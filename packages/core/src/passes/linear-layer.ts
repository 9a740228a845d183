import { attribute, type Node, Tensor, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { floatAttribute, hasOpenAttributes, intAttribute } from './node-attributes.ts'
import { type Decline, decline } from './rule.ts'
import { freshName, type RuleContext } from './rule-context.ts'

/**
 * A node that computes y[o] = Σ w[o, …]·x[…] + b[o] with constant w and b, seen through the one thing that folding cares
 * about: which channel each weight element belongs to.
 */
export interface LinearLayer {
  readonly node: Node
  readonly weight: Value
  readonly tensor: Tensor
  readonly outChannels: number
  readonly inChannels: number
  /** Output channel of the weight element at this flat index. */
  readonly outChannelOf: (index: number) => number
  /** Input channel of the weight element at this flat index. */
  readonly inChannelOf: (index: number) => number
  /** b in float64, with Gemm's beta already applied; zeros where the node has no bias. */
  readonly bias: Float64Array
}

/** Which channels the elements of a weight belong to. */
export type ChannelLayout = Pick<LinearLayer, 'outChannels' | 'inChannels' | 'outChannelOf' | 'inChannelOf'>

/** How each operator lays its channels out in the weight's dimensions. */
type Layout = (node: Node, dims: readonly number[]) => ChannelLayout

const LAYOUTS: Record<string, Layout> = {
  /** [M, C/g, k…]; output channels of group j are the j-th of g equal parts of M. */
  Conv(node, [m = 1, c = 1, ...kernel]) {
    const taps = kernel.reduce((n, k) => n * k, 1)
    const perGroup = m / intAttribute(node, 'group', 1)
    const outChannelOf = (i: number) => Math.floor(i / (c * taps))
    return {
      outChannels: m,
      inChannels: c * (m / perGroup),
      outChannelOf,
      inChannelOf: (i) => Math.floor(outChannelOf(i) / perGroup) * c + (Math.floor(i / taps) % c),
    }
  },
  /** [C, M/g, k…]; input channels of group j are the j-th of g equal parts of C. */
  ConvTranspose(node, [c = 1, m = 1, ...kernel]) {
    const taps = kernel.reduce((n, k) => n * k, 1)
    const groups = intAttribute(node, 'group', 1)
    const inChannelOf = (i: number) => Math.floor(i / (m * taps))
    return {
      outChannels: m * groups,
      inChannels: c,
      outChannelOf: (i) => Math.floor(inChannelOf(i) / (c / groups)) * m + (Math.floor(i / taps) % m),
      inChannelOf,
    }
  },
  /** [K, N], or [N, K] with transB. */
  Gemm(node, [rows = 1, columns = 1]) {
    const row = (i: number) => Math.floor(i / columns)
    const column = (i: number) => i % columns
    return intAttribute(node, 'transB', 0) === 1
      ? { outChannels: rows, inChannels: columns, outChannelOf: row, inChannelOf: column }
      : { outChannels: columns, inChannels: rows, outChannelOf: column, inChannelOf: row }
  },
}

export const LINEAR_TYPES: readonly string[] = Object.keys(LAYOUTS)

/** The channels of a weight, also of a MatMul's, whose channels are the last axis of its input and output; undefined for other nodes. */
export function channelLayout(node: Node, dims: readonly number[]): ChannelLayout | undefined {
  const isMatrix = node.qualifiedType === 'MatMul' && dims.length === 2
  return (isMatrix ? LAYOUTS.Gemm : LAYOUTS[node.qualifiedType])?.(node, dims)
}

/**
 * Reads the node as a linear layer whose weight may be edited; undefined if its operator is not one.
 * Declines where the weight is computed, overridable or shared, or where the bias is not one constant per channel.
 */
export function linearLayer(node: Node, cx: RuleContext): LinearLayer | Decline | undefined {
  const layout = LAYOUTS[node.qualifiedType]
  const weight = node.inputs[1]
  if (!layout || !weight || hasOpenAttributes(node)) return undefined
  const tensor = cx.constant(weight)
  if (!tensor) return decline(`the weight "${weight.name}" is not a constant`)
  if (!cx.hasOneUse(weight)) return decline(`the weight "${weight.name}" has other users`)
  const channels = layout(node, tensor.dims)
  const bias = readBias(node, channels.outChannels, cx)
  if (!bias) return decline(`the bias "${node.inputs[2]?.name}" is not one constant per channel`)
  return { node, weight, tensor, bias, ...channels }
}

/** Zeros without a bias; undefined if it is not constant, or varies along Gemm's rows. */
function readBias(node: Node, channels: number, cx: RuleContext): Float64Array | undefined {
  const value = node.inputs[2]
  if (!value) return new Float64Array(channels)
  const tensor = cx.constant(value)
  const values = tensor && channelVector(tensor, channels, tensor.dims.length - 1)
  const beta = node.opType === 'Gemm' ? floatAttribute(node, 'beta', 1) : 1
  return values?.map((v) => beta * v)
}

/**
 * A constant that broadcasts as one number per channel, in float64: all dimensions are 1, but for `axis`, which may hold
 * `channels` elements. Undefined if it is anything else.
 */
export function channelVector(tensor: Tensor, channels: number, axis: number): Float64Array | undefined {
  if (tensor.size === 1) return new Float64Array(channels).fill(must(tensor.numbers()[0], 'the only element'))
  if (tensor.size !== channels || tensor.dims[axis] !== channels) return undefined
  return Float64Array.from(tensor.numbers())
}

/** w[i] ← w[i]·factor(i), computed in float64 and stored in the weight's own type. */
export function scaleWeight(layer: LinearLayer, factor: (index: number) => number): void {
  const scaled = Float64Array.from(layer.tensor.numbers(), (w, i) => w * factor(i))
  layer.weight.constant = Tensor.fromNumbers(layer.tensor.dtype, layer.tensor.dims, scaled)
}

/** Replaces the bias. The old one is left alone, since others may read it; Gemm's beta becomes 1. */
export function setBias(layer: LinearLayer, bias: Float64Array, cx: RuleContext): void {
  const { node, tensor } = layer
  const graph = must(node.graph, 'graph of the layer')
  const old = node.inputs[2]
  const constant = Tensor.fromNumbers(tensor.dtype, [bias.length], bias)
  if (old && cx.hasOneUse(old) && old.constant) {
    old.constant = constant
    old.type = { kind: 'tensor', dtype: constant.dtype, shape: constant.dims }
  } else {
    node.setInput(2, graph.addInitializer(freshName(graph, `${layer.weight.name}_bias`), constant))
  }
  if (node.attributes.has('beta')) node.attributes.set('beta', attribute.float(1))
}
