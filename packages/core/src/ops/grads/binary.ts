import type { Value } from '../../ir/index.ts'
import type { GradContext } from '../gradient.ts'
import { broadcasting } from './broadcast.ts'

/** Both operands in the gradient's element type: the exponent of Pow may have another. */
const operands = (cx: GradContext): [Value, Value] => {
  const exponent = cx.x(1)
  return [cx.x(0), cx.input(1)?.dtype === cx.input(0)?.dtype ? exponent : cx.g.cast(exponent, cx.g.dtype)]
}

/** b·a^(b−1). A constant exponent of 1 or 2 is written without Pow, whose kernel is slow. */
function powerSlope(cx: GradContext, a: Value, b: Value): Value {
  const [exponent, ...more] = cx.flatElements(1) ?? []
  if (exponent === 2 && more.length === 0) return cx.g.mul(a, 2)
  return cx.g.mul(b, cx.g.op('Pow', [a, cx.g.sub(b, 1)]))
}

/** a^b·ln a; zero for a ≤ 0, where the power is defined for single exponents only. */
function exponentSlope(cx: GradContext, a: Value): Value {
  return cx.g.where(cx.g.greater(a, 0), cx.g.mul(cx.y(0), cx.g.op('Log', [a])), 0)
}

/** Shares a gradient equally among the inputs that are the extreme. */
const extreme = broadcasting((cx, dy) => {
  const { g } = cx
  const chosen = Array.from({ length: cx.inputCount }, (_, i) => g.cast(g.op('Equal', [cx.x(i), cx.y(0)]), g.dtype))
  const share = g.div(dy, chosen.length === 1 ? (chosen[0] as Value) : g.op('Sum', chosen))
  return chosen.map((mask) => () => g.mul(mask, share))
})

const repeat = (cx: GradContext, make: () => Value) => Array.from({ length: cx.inputCount }, () => make)

/** By each operand, before broadcasting is undone. */
export const BINARY_GRADS = {
  Add: broadcasting((_, dy) => [() => dy, () => dy]),
  Sub: broadcasting(({ g }, dy) => [() => dy, () => g.neg(dy)]),
  Mul: broadcasting((cx, dy) => [() => cx.g.mul(dy, cx.x(1)), () => cx.g.mul(dy, cx.x(0))]),
  Div: broadcasting((cx, dy) => [
    () => cx.g.div(dy, cx.x(1)),
    () => cx.g.neg(cx.g.div(cx.g.mul(dy, cx.y(0)), cx.x(1))),
  ]),
  Pow: broadcasting((cx, dy) => {
    const [a, b] = operands(cx)
    return [() => cx.g.mul(dy, powerSlope(cx, a, b)), () => cx.g.mul(dy, exponentSlope(cx, a))]
  }),
  Min: extreme,
  Max: extreme,
  Sum: broadcasting((cx, dy) => repeat(cx, () => dy)),
  Mean: broadcasting((cx, dy) => repeat(cx, () => cx.g.div(dy, cx.inputCount))),
}
