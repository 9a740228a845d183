import { GraphBuilder, type Node, replaceAllUses, Tensor, type Value } from '../ir/index.ts'
import { intAttribute } from '../passes/index.ts'
import { must } from '../util/index.ts'
import { requantizerOf } from './quantizers.ts'
import { biasOf, exactSum, type Operands, operandsOf, perChannel } from './sums.ts'
import { onUnitScale } from './unit-scale.ts'

/** What kernels with unsigned codes add to signed ones. */
const SHIFT = 128

const f = Math.fround

/**
 * Rewrites a Conv, Gemm or MatMul as MNN's kernels for x86 compute it. Codes are shifted by 128, and what that adds to a sum is in the
 * bias: float32(sum · scale(w)) · (scale(x)/scale(y)) + (bias − 128 · Σw · scale(w) · scale(x)) / scale(y), each step rounded to float32.
 * Depthwise convolutions have an int32 bias, cut off and not rounded: (sum + trunc(bias / (scale(x) · scale(w)))) · factor.
 */
export function shiftedSum(node: Node): void {
  const operands = operandsOf(node)
  const requantizer = requantizerOf(node)
  if (!operands || !requantizer) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const isDepthwise = node.opType === 'Conv' && intAttribute(node, 'group', 1) > 1
  const result = (isDepthwise ? depthwise : dense)(b, node, operands, requantizer.scale)
  replaceAllUses(must(node.outputs[0], 'output'), result)
  onUnitScale(requantizer, b)
}

function dense(b: GraphBuilder, node: Node, operands: Operands, step: number): Value {
  const { x, w } = operands
  const scaleX = x.scale[0] as number
  const weightSums = sumsOfChannels(node, operands)
  const each = (value: (sum: number, i: number) => number) => perChannel(b, node, weightSums.map(value))
  const shifted = b.op('Add', [exactSum(b, node, operands), each((sum) => SHIFT * sum)])
  const real = b.op('Mul', [shifted, each((_, i) => scaleOf(w.scale, i))])
  const inSteps = b.op('Mul', [real, b.constant('ratio', Tensor.float32([], [f(scaleX / step)]))])
  const bias = biasOf(node)
  const shift = (sum: number, i: number): number => f(f(f(sum * scaleOf(w.scale, i)) * SHIFT) * scaleX)
  return b.op('Add', [inSteps, each((sum, i) => f(f((bias?.[i] ?? 0) - shift(sum, i)) / step))])
}

function depthwise(b: GraphBuilder, node: Node, operands: Operands, step: number): Value {
  const { x, w, weight } = operands
  const scaleX = x.scale[0] as number
  const bias = biasOf(node)
  const channels = Array.from({ length: weight.dims[0] ?? 0 }, (_, i) => i)
  const codes = channels.map((i) => Math.trunc(f((bias?.[i] ?? 0) / f(scaleX * scaleOf(w.scale, i)))))
  const sum = b.op('Add', [exactSum(b, node, operands), perChannel(b, node, codes)])
  const factors = channels.map((i) => f(scaleOf(w.scale, i) * f(scaleX / step)))
  return b.op('Mul', [sum, perChannel(b, node, factors)])
}

const scaleOf = (scale: ArrayLike<number>, i: number): number => scale[scale.length > 1 ? i : 0] as number

/** Of weight codes, over all but the output channels. */
function sumsOfChannels(node: Node, { weight }: Operands): number[] {
  const codes = weight.numbers()
  const [first = 0, last = 0] = [weight.dims[0], weight.dims.at(-1)]
  const isFirst = node.opType === 'Conv' || (node.opType === 'Gemm' && intAttribute(node, 'transB', 0) === 1)
  const sums = new Array<number>(isFirst ? first : last).fill(0)
  const run = codes.length / first
  for (let k = 0; k < codes.length; k++) {
    const channel = isFirst ? Math.floor(k / run) : k % last
    sums[channel] = (sums[channel] as number) + (codes[k] as number)
  }
  return sums
}
