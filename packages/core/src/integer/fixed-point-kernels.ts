import { asTensor, GraphBuilder, type Node, replaceAllUses, type Value } from '../ir/index.ts'
import { intAttribute } from '../passes/index.ts'
import { must, quantizeMultiplier, roundHalfEven, type ShiftTies } from '../util/index.ts'
import { type ChannelMultiplier, FixedPoint } from './fixed-point-graph.ts'
import { activationCodes, type Codes, codesOf, type Requantizer, requantizerOf } from './quantizers.ts'
import { channelDims, exactSum, operandsOf } from './sums.ts'
import { onUnitScale } from './unit-scale.ts'

const f = Math.fround

/** TensorFlow Lite shifts the operands of an Add to the left by this before it scales them. */
const ADD_SHIFT = 20

/**
 * Rewrites a Conv, Gemm or MatMul as TensorFlow Lite's own kernels compute it: (sum + bias) by a fixed-point multiplier for
 * scale(x) · scale(w) / scale(y). Fully connected layers take the product of the first two in float32, convolutions in float64.
 */
export function fixedPointSum(node: Node): void {
  const operands = operandsOf(node)
  const requantizer = requantizerOf(node)
  if (!operands || !requantizer) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const { x, w } = operands
  const scaleX = x.scale[0] as number
  const product = (scale: number): number => (node.opType === 'Conv' ? scaleX * scale : f(scaleX * scale))
  const ties = tiesOf(node, w.scale.length)
  const multipliers = Array.from(w.scale, (scale, i) => ({
    ...quantizeMultiplier(product(scale) / requantizer.scale),
    ties: ties(i),
  }))
  const fixed = new FixedPoint(b, channelDims(node, multipliers.length))
  const sum = fixed.whole(exactSum(b, node, operands))
  const bias = codesOf(node.inputs[2])?.codes
  const biased = bias ? b.op('Add', [sum, fixed.whole(reshaped(b, node, bias))]) : sum
  finish(node, requantizer, b, fixed.float(fixed.multiply(biased, multipliers)))
}

/** Depthwise kernels take channels by eight, and the rest one by one. */
const DEPTHWISE_LANES = 8

/** Vector instructions round halves up, scalar code away from zero. */
function tiesOf(node: Node, channels: number): (channel: number) => ShiftTies {
  const isDepthwise = node.opType === 'Conv' && intAttribute(node, 'group', 1) > 1
  const scalar = isDepthwise ? channels - (channels % DEPTHWISE_LANES) : channels
  return (channel) => (channel < scalar ? 'up' : 'away')
}

/**
 * Rewrites an Add: both operands, shifted to the left by 20, are brought to twice the larger scale, and their sum to the result's, each
 * by a fixed-point multiplier.
 */
export function fixedPointAdd(node: Node): void {
  const [x, y] = [activationCodes(node.inputs[0]), activationCodes(node.inputs[1])]
  const requantizer = requantizerOf(node)
  if (!x || !y || !requantizer) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const fixed = new FixedPoint(b)
  const factor = (real: number): ChannelMultiplier => ({ ...quantizeMultiplier(real), ties: 'up' })
  const twice = 2 * Math.max(x.scale[0] as number, y.scale[0] as number)
  const operand = (c: Codes): Value => {
    const shifted = b.op('Mul', [centred(b, fixed, c), fixed.number(2 ** ADD_SHIFT)])
    return fixed.multiply(shifted, [factor((c.scale[0] as number) / twice)])
  }
  const sum = b.op('Add', [operand(x), operand(y)])
  const result = fixed.multiply(sum, [factor(twice / (2 ** ADD_SHIFT * requantizer.scale))])
  finish(node, requantizer, b, fixed.float(result))
}

/** Bits of the larger of two multipliers that share a shift. */
const SHARED_BITS = 20

/**
 * Rewrites an Add as XNNPACK computes it: codes by whole multipliers for scale(x)/scale(y), the larger of 21 bits, and their sum shifted
 * to the right, halves up.
 */
export function sharedShiftAdd(node: Node): void {
  const [x, y] = [activationCodes(node.inputs[0]), activationCodes(node.inputs[1])]
  const requantizer = requantizerOf(node)
  if (!x || !y || !requantizer) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const fixed = new FixedPoint(b)
  const ratio = (c: Codes): number => f((c.scale[0] as number) / requantizer.scale)
  const shift = SHARED_BITS - Math.floor(Math.log2(Math.max(ratio(x), ratio(y))))
  const operand = (c: Codes): Value =>
    b.op('Mul', [centred(b, fixed, c), fixed.number(roundHalfEven(ratio(c) * 2 ** shift))])
  const sum = b.op('Add', [operand(x), operand(y)])
  finish(node, requantizer, b, fixed.float(fixed.shiftedRight(sum, shift)))
}

const centred = (b: GraphBuilder, fixed: FixedPoint, { codes, zeroPoint }: Codes): Value =>
  b.op('Sub', [fixed.whole(codes), fixed.number(zeroPoint[0] as number)])

function finish(node: Node, requantizer: Requantizer, b: GraphBuilder, result: Value): void {
  replaceAllUses(must(node.outputs[0], 'output'), result)
  onUnitScale(requantizer, b)
}

/** A bias along the axis of channels. */
function reshaped(b: GraphBuilder, node: Node, bias: Value): Value {
  const dims = channelDims(node, asTensor(bias.type)?.shape?.[0] as number)
  return dims.length === 1 ? bias : b.constant('bias', must(bias.constant, 'bias').reshape(dims))
}
