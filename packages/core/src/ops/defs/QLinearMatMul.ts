import { defineOp } from '../define-op.ts'
import { macsPerOutput, matmulShape } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

export const QLinearMatMul = defineOp({
  type: 'QLinearMatMul',
  since: [10, 21],
  inputs: ['a', 'a_scale', 'a_zero_point', 'b', 'b_scale', 'b_zero_point', 'y_scale', 'y_zero_point'],
  outputs: ['y'],
  infer: (cx) => [typed(cx, matmulShape(cx, cx.input(0)?.shape, cx.input(3)?.shape), undefined, 7)],
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.at(-1)),
})
