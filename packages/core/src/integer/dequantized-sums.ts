import { GraphBuilder, type Node, replaceAllUses, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { DOUBLE, FLOAT } from './fused.ts'
import { biasOf, exactSum, operandsOf, perChannel } from './sums.ts'

const f = Math.fround

/**
 * Rewrites a Conv, Gemm or MatMul as ncnn's kernels compute it, which hand over real values: sum · (1 / (m(x) · m(w))) + bias as one fused
 * multiply-add, where the m are the multipliers 1/scale that ncnn's table holds. The product of two float32 numbers is exact in float64.
 */
export function dequantizedSum(node: Node): void {
  const operands = operandsOf(node)
  if (!operands) return
  const multiplier = f(1 / (operands.x.scale[0] as number))
  const factors = Array.from(operands.w.scale, (scale) => f(1 / f(multiplier * f(1 / scale))))
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const double = (value: Value): Value => b.op('Cast', [value], DOUBLE)
  const real = b.op('Mul', [double(exactSum(b, node, operands)), double(perChannel(b, node, factors))])
  const bias = biasOf(node)
  const biased = bias ? b.op('Add', [real, double(perChannel(b, node, bias))]) : real
  replaceAllUses(must(node.outputs[0], 'output'), b.op('Cast', [biased], FLOAT))
}
