import { asTensor, attribute, GraphBuilder, type Node, replaceAllUses, Tensor, type Value } from '../ir/index.ts'
import { intAttribute, intsAttribute } from '../passes/index.ts'
import { dividedBy, must, quantizeMultiplier } from '../util/index.ts'
import { FixedPoint } from './fixed-point-graph.ts'
import { activationCodes, type Codes, type Requantizer, requantizerOf } from './quantizers.ts'
import { onUnitScale } from './unit-scale.ts'

const FLOAT = { to: attribute.int(1) }

const f = Math.fround
const awayFromZero = (v: number): number => Math.sign(v) * Math.floor(Math.abs(v) + 0.5)

/** The kernel for images takes channels by sixteen, and the rest one by one. */
const LANES = 16

/**
 * Rewrites a ReduceMean or GlobalAveragePool as TensorFlow Lite's MEAN. Over height and width of images: the sum of codes by a multiplier
 * for scale(x) / (n · scale(y)), plus a whole number for the zero points. Otherwise the sum of codes less their zero point by a
 * multiplier for scale(x) / scale(y) that was divided by n.
 */
export function fixedPointMean(node: Node): void {
  const x = activationCodes(node.inputs[0])
  const requantizer = requantizerOf(node)
  const shape = asTensor(x?.codes.type)?.shape
  const axes = axesOf(node, shape?.length ?? 0)
  if (!x || !requantizer || !shape || !axes || requantizer.clip) return
  const dims = axes.map((axis) => shape[axis])
  if (!dims.every((d) => typeof d === 'number')) return
  const count = (dims as readonly number[]).reduce((n, d) => n * d, 1)
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const codes = b.op('Cast', [x.codes], FLOAT)
  const attributes = Object.fromEntries(node.attributes)
  const mean = b.op(node.opType, [codes, ...node.inputs.slice(1)], attributes, { name: node.name })
  const sum = b.op('Round', [b.op('Mul', [mean, scalar(b, count)])])
  const ofImages = shape.length === 4 && axes.join() === '2,3'
  const channels = must(shape[1], 'channels') as number
  const keeps = node.opType === 'GlobalAveragePool' || intAttribute(node, 'keepdims', 1) === 1
  const result = ofImages
    ? overImages(b, sum, { count, x, requantizer, dims: keeps ? [channels, 1, 1] : [channels] })
    : overAny(b, sum, { count, x, requantizer, dims: [] })
  replaceAllUses(must(node.outputs[0], 'output'), result)
  onUnitScale(requantizer, b)
}

interface Mean {
  readonly count: number
  readonly x: Codes
  readonly requantizer: Requantizer
  /** Of one number for each channel. */
  readonly dims: readonly number[]
}

function overImages(b: GraphBuilder, sum: Value, { count, x, requantizer: { scale }, dims }: Mean): Value {
  const fixed = new FixedPoint(b, dims)
  const [scaleX, zeroX] = [x.scale[0] as number, x.zeroPoint[0] as number]
  const channels = dims[0] as number
  const factor = quantizeMultiplier(f(scaleX / f(count * scale)))
  const each = Array.from({ length: channels }, (_, i) => i)
  const scaled = fixed.multiply(
    fixed.whole(sum),
    each.map((i) => ({ ...factor, ties: i < channels - (channels % LANES) ? 'up' : 'away' })),
  )
  return b.op('Sub', [fixed.float(scaled), scalar(b, awayFromZero(f(f(zeroX * scaleX) / scale)))])
}

function overAny(b: GraphBuilder, sum: Value, { count, x, requantizer: { scale } }: Mean): Value {
  const fixed = new FixedPoint(b)
  const centred = b.op('Sub', [fixed.whole(sum), fixed.number(count * (x.zeroPoint[0] as number))])
  const factor = dividedBy(quantizeMultiplier((x.scale[0] as number) / scale), count)
  return fixed.float(fixed.multiply(centred, [{ ...factor, ties: 'away' }]))
}

/** Sorted and counted from the front; undefined where they are not known. */
function axesOf(node: Node, rank: number): number[] | undefined {
  if (node.opType === 'GlobalAveragePool') return Array.from({ length: rank - 2 }, (_, i) => i + 2)
  const axes = intsAttribute(node, 'axes') ?? node.inputs[1]?.constant?.numbers()
  return axes && Array.from(axes, (axis) => (axis < 0 ? axis + rank : axis)).sort((a, z) => a - z)
}

const scalar = (b: GraphBuilder, value: number): Value => b.constant('number', Tensor.float32([], [value]))
