import { defineOp } from '../define-op.ts'
import { passGrad } from '../grads/select.ts'

export const Identity = defineOp({
  type: 'Identity',
  since: [1, 13, 14, 16, 19, 21, 23, 24, 25],
  inputs: ['input'],
  outputs: ['output'],
  infer: (cx) => [cx.inputType(0)],
  elements: (cx) => cx.elements(0),
  constant: (cx) => cx.constant(0),
  grad: passGrad,
  quant: { roles: ['activation'], traits: ['identity', 'scale-preserving', 'elementwise', 'positively-homogeneous'] },
})
