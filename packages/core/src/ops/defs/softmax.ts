import { int } from '../attrs.ts'
import { defineOp, type OpDef } from '../define-op.ts'
import { logSoftmaxGrad, softmaxGrad } from '../grads/softmax.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { likeInput } from '../shared/rules.ts'
import type { QuantTraits } from '../traits.ts'

/**
 * Before version 13 the input is flattened to a matrix at `axis` (default 1) and normalized over everything behind it;
 * since 13 it is normalized along the one axis (default last).
 */
const softmax = (type: string, quant: QuantTraits, grad?: OpDef['grad']) =>
  defineOp({
    type,
    since: [1, 11, 13],
    inputs: ['input'],
    outputs: ['output'],
    before: { 13: { attrs: { axis: int(1) } } },
    attrs: { axis: int(-1) },
    infer(cx) {
      const rank = cx.input(0)?.shape?.length
      if (rank) normalizeAxis(cx, cx.attrs.axis, rank)
      return likeInput(cx)
    },
    grad,
    quant: { roles: ['activation'], ...quant },
  })

export const Softmax = softmax('Softmax', { traits: ['non-negative', 'normalizing'], fixedRange: [0, 1] }, softmaxGrad)
export const LogSoftmax = softmax('LogSoftmax', { traits: ['normalizing'] }, logSoftmaxGrad)
export const Hardmax = softmax('Hardmax', { traits: ['non-negative'], fixedRange: [0, 1] })
