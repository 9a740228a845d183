import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { likeInput } from '../shared/rules.ts'
import type { QuantTraits } from '../traits.ts'

/**
 * Before version 13 the input is flattened to a matrix at `axis` (default 1) and normalized over everything behind it;
 * since 13 it is normalized along the one axis (default last).
 */
const softmax = (type: string, quant: QuantTraits) =>
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
    quant: { roles: ['activation'], ...quant },
  })

export const Softmax = softmax('Softmax', { traits: ['non-negative', 'normalizing'], fixedRange: [0, 1] })
export const LogSoftmax = softmax('LogSoftmax', { traits: ['normalizing'] })
export const Hardmax = softmax('Hardmax', { traits: ['non-negative'], fixedRange: [0, 1] })
