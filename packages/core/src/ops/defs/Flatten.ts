import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { reshapeGrad } from '../grads/layout.ts'
import { sizeOf } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const Flatten = defineOp({
  type: 'Flatten',
  since: [1, 9, 11, 13, 21, 23, 24, 25],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { axis: int(1) },
  infer: (cx) => {
    const shape = cx.input(0)?.shape
    const { axis } = cx.attrs
    if (!shape) return [typed(cx, [null, null])]
    // Unlike elsewhere, axis = rank is legal: everything goes into the rows.
    if (axis > shape.length || axis < -shape.length) cx.mismatch(`axis ${axis} is outside rank ${shape.length}`)
    return [typed(cx, [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))])]
  },
  grad: reshapeGrad,
  quant: { roles: ['activation'], traits: ['scale-preserving'] },
})
