import type { Shape } from '../../ir/index.ts'
import { ints, optional, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { reshapeGrad } from '../grads/layout.ts'
import { lengthOf, listOf } from '../shared/data-rules.ts'
import { normalizeAxes, openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const Squeeze = defineOp({
  type: 'Squeeze',
  since: [1, 11, 13, 21, 23, 24, 25],
  inputs: ['data', 'axes?'],
  outputs: ['squeezed'],
  attrs: { axes: until(13, optional(ints())) },
  before: { 13: { inputs: ['data'] } },
  infer: (cx) => [typed(cx, squeeze(cx, cx.attrs.axes))],
  elements: (cx) => cx.elements(0),
  grad: reshapeGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

function squeeze(cx: InferContext, attribute: readonly number[] | undefined): Shape | undefined {
  const shape = cx.input(0)?.shape
  const axes = listOf(cx, attribute, 1)
  if (!shape) return undefined
  if (axes === undefined) {
    const count = lengthOf(cx, 1)
    return count === undefined ? undefined : openShape(shape.length - count)
  }
  // An open dimension may turn out to be 1, which would change the rank.
  if (axes === 'absent') return shape.every((d) => typeof d === 'number') ? shape.filter((d) => d !== 1) : undefined
  const dropped = new Set(normalizeAxes(cx, axes, shape.length))
  for (const i of dropped) {
    const dim = shape[i]
    if (typeof dim === 'number' && dim !== 1) cx.mismatch(`axis ${i} has ${dim} elements and cannot be dropped`)
  }
  return shape.filter((_, i) => !dropped.has(i))
}
