import { asTensor, type Node } from '../../ir/index.ts'
import { Decline, type LinearLayer, linearLayer, type RuleContext } from '../../passes/index.ts'
import type { MomentRule } from './rule.ts'
import { forChannels, normalMoments } from './value-moments.ts'

type Weights = Pick<LinearLayer, 'tensor' | 'bias' | 'inChannels' | 'outChannels' | 'inChannelOf' | 'outChannelOf'>

/** The weights of a linear layer, and the axis of the channels in its input and output. */
export function weightsOf(node: Node, cx: RuleContext): (Weights & { readonly axis: number }) | undefined {
  if (node.qualifiedType === 'MatMul') return productOf(node, cx)
  const layer = linearLayer(node, cx)
  return layer && !(layer instanceof Decline) ? { ...layer, axis: 1 } : undefined
}

function productOf(node: Node, cx: RuleContext): (Weights & { readonly axis: number }) | undefined {
  const tensor = cx.constant(node.inputs[1])
  const rank = asTensor(node.outputs[0]?.type)?.shape?.length
  if (tensor?.dims.length !== 2 || !rank) return undefined
  const [inChannels = 1, outChannels = 1] = tensor.dims
  return {
    ...{ tensor, inChannels, outChannels, axis: rank - 1, bias: new Float64Array(outChannels) },
    inChannelOf: (i) => Math.floor(i / outChannels),
    outChannelOf: (i) => i % outChannels,
  }
}

/** Of independent inputs: E[Σ w·x + b] = Σ w·E[x] + b, and variances add with w². */
export const linear: MomentRule = ({ node, cx, deviations, inputs: [x] }) => {
  if (!x || x.origin === 'input') return undefined
  const layer = weightsOf(node, cx)
  if (!layer) return undefined
  const known = forChannels(x, layer.inChannels)
  if (!known || (x.mean.length > 1 && x.axis !== layer.axis)) return undefined
  const mean = Float64Array.from(layer.bias)
  const variance = new Float64Array(layer.outChannels)
  const weights = layer.tensor.numbers()
  for (let i = 0; i < weights.length; i++) {
    const [w, o, c] = [weights[i] as number, layer.outChannelOf(i), layer.inChannelOf(i)]
    mean[o] = (mean[o] as number) + w * (known.mean[c] as number)
    variance[o] = (variance[o] as number) + (w * (known.std[c] as number)) ** 2
  }
  return normalMoments({ mean, std: variance.map(Math.sqrt) }, layer.axis, deviations, 'derived')
}
