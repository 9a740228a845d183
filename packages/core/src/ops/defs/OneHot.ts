import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { withInserted } from '../shared/data-rules.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const OneHot = defineOp({
  type: 'OneHot',
  since: [9, 11, 28],
  inputs: ['indices', 'depth', 'values'],
  outputs: ['output'],
  attrs: { axis: int(-1) },
  infer: (cx) => {
    const indices = cx.input(0)?.shape
    const depth = cx.elements(1)?.[0] ?? cx.constant(1)?.numbers()[0] ?? null
    if (!indices) return [typed(cx, undefined, undefined, 2)]
    const axis = normalizeAxis(cx, cx.attrs.axis, indices.length + 1)
    return [typed(cx, withInserted(indices, axis, depth), undefined, 2)]
  },
})
