import type { Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { meanCount, shareAmongEqual } from './pool.ts'

interface Reduction {
  readonly cx: GradContext
  readonly x: Value
  /** Output and its gradient with the reduced axes as 1, so that they broadcast to x. */
  readonly y: Value
  readonly dy: Value
}

const RULES: Readonly<Record<string, (r: Reduction) => Value>> = {
  ReduceSum: ({ cx, x, dy }) => cx.g.expandLike(dy, x),
  ReduceMean: ({ cx, x, dy }) => cx.g.expandLike(cx.g.div(dy, meanCount(cx)), x),
  ReduceSumSquare: ({ cx, x, dy }) => cx.g.mul(cx.g.mul(x, 2), dy),
  ReduceL1: ({ cx, x, dy }) => cx.g.mul(cx.g.op('Sign', [x]), dy),
  // x/‖x‖, and 0 at the origin, where the norm has a kink.
  ReduceL2: ({ cx: { g }, x, y, dy }) => g.mul(g.div(x, g.where(g.greater(y, 0), y, 1)), dy),
  ReduceLogSumExp: ({ cx: { g }, x, y, dy }) => g.mul(g.op('Exp', [g.sub(x, y)]), dy),
  ReduceLogSum: ({ cx: { g }, x, y, dy }) => g.expandLike(g.mul(g.op('Exp', [g.neg(y)]), dy), x),
  ReduceMax: (r) => shareExtreme(r),
  ReduceMin: (r) => shareExtreme(r),
}

/** The extreme elements share the gradient equally. */
const shareExtreme = ({ cx, y, dy }: Reduction): Value =>
  shareAmongEqual(cx, dy, y, (mask) => {
    const counted = cx.g.op('ReduceSum', [mask, cx.node.inputs[1] ?? null], attributesOf(cx))
    return keptAxes(cx, counted)
  })

const attributesOf = (cx: GradContext) => Object.fromEntries(cx.node.attributes)

/** The gradient facet of a reduction, where it has one. */
export function reductionGrad(type: string): ((cx: GradContext) => Gradients) | undefined {
  const rule = RULES[type]
  return (
    rule &&
    ((cx) => {
      const dy = cx.dy(0)
      return [dy && rule({ cx, x: cx.x(0), y: keptAxes(cx, cx.y(0)), dy: keptAxes(cx, dy) })]
    })
  )
}

/** Puts the reduced axes back with size 1. A scalar, which is what reducing all of them leaves, broadcasts as it is. */
function keptAxes(cx: GradContext, reduced: Value): Value {
  const axes = cx.node.inputs[1]
  const none = !axes || cx.elements(1)?.length === 0
  return cx.attrs.keepdims || none ? reduced : cx.g.op('Unsqueeze', [reduced, axes])
}
