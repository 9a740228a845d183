import { attribute, isStatic, type Shape, type Value } from '../ir/index.ts'
import type { GradContext, Operand } from '../ops/index.ts'
import type { GradientScale } from './gradient-options.ts'

/** Multiplies, leaving factors of 1 out. */
export const times = ({ g }: GradContext, a: Value, b: Operand): Value => (b === 1 ? a : g.mul(a, b))

/** Whether input `i` is one number, so that it may bound a Clip. */
export const isScalar = (cx: GradContext, i: number): boolean => cx.input(i)?.shape?.length === 0

/** Boolean, low ≤ x ≤ high. Clip and Equal are a pass less than two comparisons, but take scalar bounds only. */
export function between({ g }: GradContext, x: Value, low: Operand, high: Operand, scalars: boolean): Value {
  if (scalars) return g.op('Equal', [g.op('Clip', [x, low, high]), x])
  return g.op('And', [g.op('GreaterOrEqual', [x, low]), g.op('LessOrEqual', [x, high])])
}

/** |scale|'s slope: gradients by the size become gradients by the scale. */
export const signOf = ({ g }: GradContext, scale: Value): Value => g.where(g.less(scale, 0), -1, 1)

/** What gradients of input `i`, a parameter, are multiplied by: 1 / √(n · most), n by the rule. */
export function gradientFactor(cx: GradContext, i: number, rule: GradientScale, most: number): Operand {
  if (rule === 'none') return 1
  const shape = cx.input(0)?.shape
  const parameters =
    rule === 'tensor' ? 1 : (product(cx.input(i)?.shape) ?? cx.open(`the number of elements of input ${i}`))
  const counted = rule === 'features' ? shape?.slice(1) : shape
  const count = product(counted)
  if (count !== undefined) return 1 / Math.sqrt((count / parameters) * most)
  const { g } = cx
  return g.div(1, g.op('Sqrt', [g.mul(sizeOf(cx, rule === 'features' ? 1 : 0), most / parameters)]))
}

/** Product of the sizes of x from an axis on, where they are known when the graph runs only. */
function sizeOf({ g, x }: GradContext, start: number): Value {
  const sizes = g.op('Shape', [x(0)], { start: attribute.int(start) })
  return g.op('ReduceProd', [g.cast(sizes, g.dtype)], { keepdims: attribute.int(0) })
}

const product = (shape: Shape | undefined): number | undefined =>
  isStatic(shape) ? shape.reduce((n, d) => n * d, 1) : undefined
