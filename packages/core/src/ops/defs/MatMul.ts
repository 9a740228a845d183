import { defineOp } from '../define-op.ts'
import { matmulGrad } from '../grads/products.ts'
import { macsPerOutput, matmulShape } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

export const MatMul = defineOp({
  type: 'MatMul',
  since: [1, 9, 13],
  inputs: ['A', 'B'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, matmulShape(cx, cx.input(0)?.shape, cx.input(1)?.shape))],
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.at(-1)),
  grad: matmulGrad,
  quant: { roles: ['activation', 'weight'], traits: ['accumulates'] },
  weightChannelAxis: (_, rank) => rank - 1,
})
