import { attribute, type Shape, type Value } from '../../ir/index.ts'
import type { float, int } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { toInput, unbroadcast } from './broadcast.ts'

type Float = ReturnType<typeof float>
type Int = ReturnType<typeof int>
type GemmContext = GradContext<{ alpha: Float; beta: Float; transA: Int; transB: Int }>

/** Y = α·A'·B' + β·C, where ' may transpose: dA' = α·dY·B'ᵀ, dB' = α·A'ᵀ·dY, dC = β·dY. */
export function gemmGrad(cx: GemmContext): Gradients {
  const { alpha, beta, transA, transB } = cx.attrs
  const dy = cx.dy(0)
  if (!dy) return []
  const product = (a: Value, b: Value, ta: boolean, tb: boolean) =>
    cx.g.op('Gemm', [a, b], {
      alpha: attribute.float(alpha),
      transA: attribute.int(ta ? 1 : 0),
      transB: attribute.int(tb ? 1 : 0),
    })
  const [a, b, ta, tb] = [cx.x(0), cx.x(1), transA !== 0, transB !== 0]
  return [
    cx.wanted(0) ? (ta ? product(b, dy, tb, true) : product(dy, b, false, !tb)) : null,
    cx.wanted(1) ? (tb ? product(dy, a, true, ta) : product(a, dy, !ta, false)) : null,
    cx.wanted(2) ? toInput(cx, 2, beta === 1 ? dy : cx.g.mul(dy, beta)) : null,
  ]
}

/** dA = dY·Bᵀ and dB = Aᵀ·dY, summed over the axes of batches along which an operand was repeated. */
export function matmulGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  const [sa, sb, sy] = [cx.input(0)?.shape, cx.input(1)?.shape, cx.output(0)?.shape]
  if (!dy) return []
  if (!sa || !sb || !sy) return cx.open('the ranks of the operands')
  // A vector is a row on the left and a column on the right, and the product loses that axis.
  const a =
    sa.length === 1
      ? { value: g.op('Unsqueeze', [cx.x(0), g.ints([0])]), shape: [1, ...sa] }
      : { value: cx.x(0), shape: sa }
  const b =
    sb.length === 1
      ? { value: g.op('Unsqueeze', [cx.x(1), g.ints([1])]), shape: [...sb, 1] }
      : { value: cx.x(1), shape: sb }
  const lost = [...(sa.length === 1 ? [sb.length === 1 ? 0 : -2] : []), ...(sb.length === 1 ? [-1] : [])]
  const full = lost.length > 0 ? g.op('Unsqueeze', [dy, g.ints(lost)]) : dy
  const batch = sy.slice(0, sy.length - 2 + lost.length)
  const undo = (i: number, raw: Value, rows: Shape, to: Shape) => {
    const summed = unbroadcast(cx, raw, [...batch, ...rows], to)
    return cx.input(i)?.shape?.length === 1 ? g.reshapeLike(summed, cx.x(i)) : summed
  }
  return [
    cx.wanted(0) ? undo(0, g.op('MatMul', [full, swapped(cx, b)]), a.shape.slice(-2), a.shape) : null,
    cx.wanted(1) ? undo(1, g.op('MatMul', [swapped(cx, a), full]), b.shape.slice(-2), b.shape) : null,
  ]
}

/** The last two axes exchanged. */
function swapped(cx: GradContext, { value, shape }: { value: Value; shape: Shape }): Value {
  const rank = shape.length
  return cx.g.transpose(value, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2])
}
