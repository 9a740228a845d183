import { defineOp } from '../define-op.ts'
import { whereGrad } from '../grads/select.ts'
import { broadcastElements, broadcastShapes } from '../shared/broadcast.ts'
import { typed } from '../shared/rules.ts'

export const Where = defineOp({
  type: 'Where',
  since: [9, 16],
  inputs: ['condition', 'X', 'Y'],
  outputs: ['output'],
  infer(cx) {
    const shape = broadcastShapes(cx, [cx.input(0)?.shape, cx.input(1)?.shape, cx.input(2)?.shape])
    return [typed(cx, shape, undefined, 1) ?? typed(cx, shape, undefined, 2)]
  },
  elements: (cx) =>
    broadcastElements(cx, [0, 1, 2], (condition = null, x = null, y = null) => {
      if (typeof condition === 'number') return condition !== 0 ? x : y
      return x === y ? x : null
    }),
  grad: whereGrad,
  quant: { roles: ['parameter', 'activation', 'activation'], traits: ['elementwise'] },
})
