import type { Node, Value } from '../../ir/index.ts'
import { LINEAR_TYPES, type LinearLayer, linearLayer, scaleWeight, setBias } from '../linear-layer.ts'
import { floatAttribute, hasOpenAttributes, intAttribute, intsAttribute, stringAttribute } from '../node-attributes.ts'
import { Decline, decline, rule } from '../rule.ts'
import type { RuleContext } from '../rule-context.ts'
import { absorb, soleProducer } from '../surgery.ts'

/** BatchNormalization at inference is y = a·x + c per channel, with a = γ/√(σ²+ε) and c = β − μ·a. */
export interface Affine {
  readonly a: Float64Array
  readonly c: Float64Array
}

interface Fold {
  readonly layer: LinearLayer
  readonly norm: Node
  readonly affine: Affine
}

/**
 * Folds a BatchNormalization into the linear layer before it:
 *
 *     a·(Σ w·x + b) + c  =  Σ (a·w)·x + (a·b + c)     with a and c per output channel.
 *
 * Exact in real numbers; computed in float64 and rounded once to the weight's type.
 */
export const foldBatchNorm = rule<Fold>({
  name: 'fold-batchnorm',
  summary: 'fold BatchNormalization into the Conv, ConvTranspose or Gemm before it',
  anchor: ['BatchNormalization'],
  match(norm, cx) {
    const producer = norm.inputs[0]?.producer
    if (!producer || !LINEAR_TYPES.includes(producer.qualifiedType)) return undefined
    const before = soleProducer(norm.inputs[0], norm, cx)
    return before === undefined || before instanceof Decline ? before : capture(before, norm, cx, 'outChannels')
  },
  rewrite({ layer, norm, affine: { a, c } }, cx) {
    scaleWeight(layer, (i) => a[layer.outChannelOf(i)] as number)
    setBias(
      layer,
      layer.bias.map((b, o) => (a[o] as number) * b + (c[o] as number)),
      cx,
    )
    absorb(layer.node, norm)
    return `folded into ${layer.node.opType} "${layer.node.name}"`
  },
})

/**
 * Folds a BatchNormalization into the linear layer after it:
 *
 *     Σ w·(a·x + c) + b  =  Σ (w·a)·x + (b + Σ w·c)     with a and c per input channel.
 *
 * The last sum runs over the taps that meet real input. Padding (and the rim of a ConvTranspose) leaves taps out, so there
 * the rule is exact only if c is zero everywhere.
 */
export const foldBatchNormForward = rule<Fold>({
  name: 'fold-batchnorm-forward',
  summary: 'fold BatchNormalization into the Conv or Gemm after it, where padding allows',
  anchor: LINEAR_TYPES,
  match(node, cx) {
    const norm = node.inputs[0]?.producer
    if (norm?.qualifiedType !== 'BatchNormalization') return undefined
    const only = soleProducer(node.inputs[0], node, cx)
    if (only === undefined || only instanceof Decline) return only
    if (node.opType === 'Gemm' && intAttribute(node, 'transA', 0) === 1) return decline('transA mixes the channels')
    const fold = capture(node, norm, cx, 'inChannels')
    if (fold instanceof Decline || fold === undefined) return fold
    const shifted = fold.affine.c.some((v) => v !== 0)
    if (shifted && !everyTapMeetsInput(node)) return decline('padding is zero before, not after, the normalization')
    return fold
  },
  rewrite({ layer, norm, affine: { a, c } }, cx) {
    const bias = layer.bias.slice()
    const alpha = floatAttribute(layer.node, 'alpha', 1)
    layer.tensor.numbers().forEach((w: number, i: number) => {
      const o = layer.outChannelOf(i)
      bias[o] = (bias[o] as number) + alpha * w * (c[layer.inChannelOf(i)] as number)
    })
    scaleWeight(layer, (i) => a[layer.inChannelOf(i)] as number)
    if (c.some((v) => v !== 0)) setBias(layer, bias, cx)
    layer.node.setInput(0, norm.inputs[0] as Value)
    norm.graph?.remove(norm)
    return `folded "${norm.name}" into ${layer.node.opType}`
  },
})

function capture(
  node: Node,
  norm: Node,
  cx: RuleContext,
  side: 'outChannels' | 'inChannels',
): Fold | Decline | undefined {
  const layer = linearLayer(node, cx)
  if (layer === undefined || layer instanceof Decline) return layer
  const affine = inferenceAffine(norm, layer[side], cx)
  return affine instanceof Decline ? affine : { layer, norm, affine }
}

/** Reads a and c; declines in training mode, with computed parameters, or with one parameter per element (`spatial` 0). */
export function inferenceAffine(norm: Node, channels: number, cx: RuleContext): Affine | Decline {
  if (hasOpenAttributes(norm)) return decline('an attribute comes from the caller of the function')
  const training = intAttribute(norm, 'training_mode', 0) === 1 || norm.outputs.slice(1).some((o) => o !== null)
  if (training) return decline('the BatchNormalization is in training mode')
  if (intAttribute(norm, 'spatial', 1) === 0) return decline('the BatchNormalization has parameters per element')
  const [gamma, beta, mean, variance] = norm.inputs.slice(1, 5).map((v) => cx.constant(v)?.numbers())
  if (!gamma || !beta || !mean || !variance) return decline('a parameter of the BatchNormalization is not constant')
  if ([gamma, beta, mean, variance].some((p) => p.length !== channels)) return decline('the channel counts differ')
  const epsilon = floatAttribute(norm, 'epsilon', 1e-5)
  const a = Float64Array.from(gamma, (g, i) => g / Math.sqrt((variance[i] as number) + epsilon))
  const c = Float64Array.from(beta, (b, i) => b - (mean[i] as number) * (a[i] as number))
  const finite = a.every(Number.isFinite) && c.every(Number.isFinite)
  return finite ? { a, c } : decline('the normalization is not finite')
}

/** True for Gemm and for a Conv without padding: each output then sums the same taps. */
function everyTapMeetsInput(node: Node): boolean {
  if (node.opType === 'Gemm') return true
  if (node.opType !== 'Conv' || !['NOTSET', 'VALID'].includes(stringAttribute(node, 'auto_pad', 'NOTSET'))) return false
  return (intsAttribute(node, 'pads') ?? []).every((p) => p === 0)
}
