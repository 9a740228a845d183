import type { Node, Value } from '../../ir/index.ts'
import { channelVector, LINEAR_TYPES, type LinearLayer, linearLayer, scaleWeight, setBias } from '../linear-layer.ts'
import { Decline, decline, rule } from '../rule.ts'
import type { RuleContext } from '../rule-context.ts'
import { absorb, soleProducer } from '../surgery.ts'

/** A binary elementwise node with a linear layer on one side and one constant per channel on the other. */
interface Absorbed {
  readonly layer: LinearLayer
  readonly node: Node
  readonly constant: Float64Array
}

/**
 * Moves a per-channel constant that is added to (or subtracted from) a linear layer's output into its bias:
 * (Σ w·x + b) ± k = Σ w·x + (b ± k).
 */
export const mergeBias = rule<Absorbed>({
  name: 'merge-bias',
  summary: 'merge an added per-channel constant into the bias of the Conv, ConvTranspose or Gemm before it',
  anchor: ['Add', 'Sub'],
  match: (node, cx) => capture(node, cx, node.opType === 'Sub' ? [0] : [0, 1]),
  rewrite({ layer, node, constant }, cx) {
    const sign = node.opType === 'Sub' ? -1 : 1
    setBias(
      layer,
      layer.bias.map((b, o) => b + sign * (constant[o] as number)),
      cx,
    )
    absorb(layer.node, node)
    return `merged into the bias of ${layer.node.opType} "${layer.node.name}"`
  },
})

/**
 * Moves a per-channel factor behind a linear layer into its weight and bias: k·(Σ w·x + b) = Σ (k·w)·x + k·b.
 * A division by k multiplies by 1/k, taken in float64.
 */
export const foldScale = rule<Absorbed>({
  name: 'fold-scale',
  summary: 'fold a per-channel factor into the Conv, ConvTranspose or Gemm before it',
  anchor: ['Mul', 'Div'],
  match(node, cx) {
    const found = capture(node, cx, node.opType === 'Div' ? [0] : [0, 1])
    if (found === undefined || found instanceof Decline) return found
    const constant = node.opType === 'Div' ? found.constant.map((k) => 1 / k) : found.constant
    return constant.every(Number.isFinite) ? { ...found, constant } : decline('a factor is not finite')
  },
  rewrite({ layer, node, constant }, cx) {
    scaleWeight(layer, (i) => constant[layer.outChannelOf(i)] as number)
    if (layer.node.inputs[2]) {
      setBias(
        layer,
        layer.bias.map((b, o) => b * (constant[o] as number)),
        cx,
      )
    }
    absorb(layer.node, node)
    return `folded into the weight of ${layer.node.opType} "${layer.node.name}"`
  },
})

/** Looks for the layer at each of the allowed inputs, with the constant at the other. */
function capture(node: Node, cx: RuleContext, sides: readonly number[]): Absorbed | Decline | undefined {
  const side = sides.find((i) => LINEAR_TYPES.includes(node.inputs[i]?.producer?.qualifiedType ?? ''))
  const other = side === undefined ? null : node.inputs[1 - side]
  // Two computed operands are a residual connection or a gate, not this pattern.
  if (side === undefined || !other?.constant) return undefined
  const producer = soleProducer(node.inputs[side], node, cx)
  if (producer === undefined || producer instanceof Decline) return producer
  const layer = linearLayer(producer, cx)
  if (layer === undefined || layer instanceof Decline) return layer
  const constant = perChannel(layer, other, cx)
  return constant ? { layer, node, constant } : decline(`"${other.name}" is not one constant per channel`)
}

/** Broadcasting aligns the last dimensions; the layer's output has its channels at axis 1. */
function perChannel(layer: LinearLayer, other: Value, cx: RuleContext): Float64Array | undefined {
  const tensor = cx.constant(other)
  const rank = layer.tensor.dims.length
  if (!tensor || tensor.dims.length > rank || tensor.dtype !== layer.tensor.dtype) return undefined
  return channelVector(tensor, layer.outChannels, tensor.dims.length - rank + 1)
}
