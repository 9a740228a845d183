import { defineOp } from '../define-op.ts'
import { convShape, groupedConvAttrs } from '../shared/conv-shape.ts'
import { filterSize, macsPerOutput } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

export const QLinearConv = defineOp({
  type: 'QLinearConv',
  since: [10],
  inputs: ['x', 'x_scale', 'x_zero_point', 'w', 'w_scale', 'w_zero_point', 'y_scale', 'y_zero_point', 'B?'],
  outputs: ['y'],
  attrs: groupedConvAttrs,
  infer: (cx) => [typed(cx, convShape(cx, 3), undefined, 7)],
  macs: (cx, [y]) => macsPerOutput(y, filterSize(cx.input(3)?.shape)),
})
