import type { GradContext, Gradients } from '../gradient.ts'

/** dx = y·(dy − Σ y·dy) along the axis. */
export function softmaxGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  const weighted = g.mul(dy, cx.y(0))
  return [g.sub(weighted, g.mul(cx.y(0), g.sum(weighted, [cx.attrs.axis], true)))]
}

/** dx = dy − softmax(x)·Σ dy along the axis. */
export function logSoftmaxGrad(cx: GradContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  return [dy && g.sub(dy, g.mul(g.op('Exp', [cx.y(0)]), g.sum(dy, [cx.attrs.axis], true)))]
}
