import { GraphBuilder, type Node, replaceAllUses, Tensor } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { multiplyAdd, scalar } from './fused.ts'
import { activationCodes, type Codes, requantizerOf } from './quantizers.ts'
import { onUnitScale } from './unit-scale.ts'

/**
 * Add as ONNX Runtime's kernel does it: a · (scale(a)/scale(y)) + (b · (scale(b)/scale(y)) + c), where c takes the zero points of all
 * three along. Each product and sum is rounded to float32 once, as a fused multiply-add does: the product of two float32 numbers is
 * exact in float64.
 */
export function addOnCodes(node: Node): void {
  const [x, y] = [activationCodes(node.inputs[0]), activationCodes(node.inputs[1])]
  const requantizer = requantizerOf(node)
  if (!x || !y || !requantizer) return
  const { quantizer, scale, zeroPoint, clip } = requantizer
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const ratio = (c: Codes): number => Math.fround((c.scale[0] as number) / scale)
  const zero = (c: Codes): number => Math.fround(ratio(c) * (c.zeroPoint[0] as number))
  const constant = Math.fround((zeroPoint?.numbers()[0] ?? 0) - Math.fround(zero(x) + zero(y)))
  const inner = multiplyAdd(b, y.codes, ratio(y), scalar(b, constant))
  const sum = multiplyAdd(b, x.codes, ratio(x), inner)
  // The sum holds the output's zero point, where a Relu or Clip would cut at another place; codes end there anyway.
  const result = clip ?? node
  replaceAllUses(must(result.outputs[0], 'output'), sum)
  onUnitScale({ ...requantizer, clip: undefined }, b)
  if (zeroPoint) quantizer.setInput(2, b.constant('no_zero_point', Tensor.fromNumbers(zeroPoint.dtype, [], [0])))
}
