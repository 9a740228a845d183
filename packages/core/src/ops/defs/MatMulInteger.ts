import { defineOp } from '../define-op.ts'
import { macsPerOutput, matmulShape } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

export const MatMulInteger = defineOp({
  type: 'MatMulInteger',
  since: [10],
  inputs: ['A', 'B', 'a_zero_point?', 'b_zero_point?'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, matmulShape(cx, cx.input(0)?.shape, cx.input(1)?.shape), 'int32')],
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.at(-1)),
  weightChannelAxis: (_, rank) => rank - 1,
})
