import type { Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { broadcasting, toInput } from './broadcast.ts'

export const whereGrad = broadcasting((cx, dy) => {
  const never = () => cx.unsupported('a condition has no gradient')
  return [never, () => cx.g.where(cx.x(0), dy, 0), () => cx.g.where(cx.x(0), 0, dy)]
})

/** y = x for x > 0, else slope · x. */
export const preluGrad = broadcasting((cx, dy) => {
  const { g } = cx
  const positive = g.greater(cx.x(0), 0)
  return [() => g.where(positive, dy, g.mul(dy, cx.x(1))), () => g.where(positive, 0, g.mul(dy, cx.x(0)))]
})

/**
 * y = min(max(x, low), high). Passes strictly between the bounds; at and beyond a bound the gradient goes to the bound, which is
 * how clipping ranges are learned (PACT, Choi 2018).
 */
export function clipGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  const [low, high] = [1, 2].map((i) => (cx.node.inputs[i] ? cx.x(i) : null)) as [Value | null, Value | null]
  const raised = low && high ? g.op('Max', [cx.x(0), low]) : cx.x(0)
  const below = high && g.less(raised, high)
  const above = low && g.greater(cx.x(0), low)
  const passed = below ? g.where(below, dy, 0) : dy
  return [
    cx.wanted(0) ? (above ? g.where(above, passed, 0) : passed) : null,
    above && cx.wanted(1) ? toInput(cx, 1, g.where(above, 0, passed)) : null,
    below && cx.wanted(2) ? toInput(cx, 2, g.where(below, 0, dy)) : null,
  ]
}

/** The output is the input: Identity, and Dropout when it does not train. */
export const passGrad = (cx: GradContext): Gradients => [cx.dy(0)]

export function dropoutGrad(cx: GradContext): Gradients {
  const training = cx.node.inputs[2]
  if (training && cx.elements(2)?.[0] !== 0) return cx.unsupported('Dropout in training mode')
  return passGrad(cx)
}

/** Between floating-point types; integers and booleans have no gradient, so nobody asks. */
export function castGrad(cx: GradContext): Gradients {
  const [dy, from] = [cx.dy(0), cx.input(0)?.dtype]
  return [dy && from ? cx.g.cast(dy, from) : null]
}
