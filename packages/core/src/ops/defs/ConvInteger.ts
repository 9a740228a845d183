import { defineOp } from '../define-op.ts'
import { convShape, groupedConvAttrs } from '../shared/conv-shape.ts'
import { filterSize, macsPerOutput } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

export const ConvInteger = defineOp({
  type: 'ConvInteger',
  since: [10],
  inputs: ['x', 'w', 'x_zero_point?', 'w_zero_point?'],
  outputs: ['y'],
  attrs: groupedConvAttrs,
  infer: (cx) => [typed(cx, convShape(cx), 'int32')],
  macs: (cx, [y]) => macsPerOutput(y, filterSize(cx.input(1)?.shape)),
  weightChannelAxis: () => 0,
})
