import type { Shape } from '../../ir/index.ts'
import { ints, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { reshapeGrad } from '../grads/layout.ts'
import { lengthOf, listOf } from '../shared/data-rules.ts'
import { normalizeAxes, openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const Unsqueeze = defineOp({
  type: 'Unsqueeze',
  since: [1, 11, 13, 21, 23, 24, 25],
  inputs: ['data', 'axes'],
  outputs: ['expanded'],
  attrs: { axes: until(13, ints()) },
  before: { 13: { inputs: ['data'] } },
  infer: (cx) => [typed(cx, unsqueeze(cx, cx.attrs.axes))],
  elements: (cx) => (cx.input(0)?.shape?.length === 0 ? cx.elements(0) : undefined),
  grad: reshapeGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

function unsqueeze(cx: InferContext, attribute: readonly number[] | undefined): Shape | undefined {
  const shape = cx.input(0)?.shape
  const axes = listOf(cx, attribute, 1)
  if (!shape) return undefined
  if (axes === undefined || axes === 'absent') {
    const count = lengthOf(cx, 1)
    return count === undefined ? undefined : openShape(shape.length + count)
  }
  const rank = shape.length + axes.length
  const added = new Set(normalizeAxes(cx, axes, rank))
  if (added.size !== axes.length) cx.mismatch(`axes [${axes.join(', ')}] name one axis twice`)
  let next = 0
  return Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (shape[next++] ?? null)))
}
