import { asTensor, type Dim, type Node, type Shape, type Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { Decline, decline, rule } from '../rule.ts'
import { type RuleContext, shapeOf } from '../rule-context.ts'
import { absorb, soleProducer } from '../surgery.ts'

interface Match {
  readonly matmul: Node
  readonly add: Node
  readonly bias: Value
}

/**
 * A·B + C = Gemm(A, B, C), where A and B are matrices and C broadcasts to the product without widening it. Gemm's kernels
 * take the bias with the accumulator, so that quantization need not round between the two.
 */
export const matmulAddToGemm = rule<Match>({
  name: 'matmul-add-to-gemm',
  summary: 'turn MatMul followed by Add into Gemm where both operands are matrices',
  anchor: ['Add'],
  match(add, cx) {
    const side = [0, 1].find((i) => add.inputs[i]?.producer?.qualifiedType === 'MatMul')
    if (side === undefined) return undefined
    const matmul = soleProducer(add.inputs[side], add, cx)
    if (matmul === undefined || matmul instanceof Decline) return matmul
    const bias = add.inputs[1 - side]
    if (!bias || !cx.constant(bias)) return undefined
    return obstacle(matmul, bias, cx) ?? { matmul, add, bias }
  },
  rewrite({ matmul, add, bias }) {
    matmul.opType = 'Gemm'
    matmul.attributes.clear()
    matmul.setInput(2, bias)
    absorb(matmul, add)
    return `merged MatMul "${matmul.name}" and Add into Gemm`
  },
})

function obstacle(matmul: Node, bias: Value, cx: RuleContext): Decline | undefined {
  const [a, b] = matmul.inputs.map(shapeOf)
  if (a?.length !== 2 || b?.length !== 2) return decline('the operands are not known to be matrices')
  const dtype = asTensor(bias.type)?.dtype
  // Before version 9 Gemm knows floats only, and integer Gemm has no kernel in common engines.
  if (dtype !== 'float32' && dtype !== 'float64' && dtype !== 'float16') return decline(`${dtype} has no Gemm kernel`)
  const product: Shape = [must(a, 'shape')[0] as Dim, must(b, 'shape')[1] as Dim]
  const dims = must(cx.constant(bias), 'bias').dims
  return broadcastsTo(dims, product) ? undefined : decline(`"${bias.name}" does not broadcast to the product`)
}

/** True if every dimension is 1 or equals the product's, aligned at the end. */
function broadcastsTo(dims: readonly number[], product: Shape): boolean {
  const offset = product.length - dims.length
  return offset >= 0 && dims.every((d, i) => d === 1 || d === product[offset + i])
}
