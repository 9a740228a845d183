import { defineOp } from '../define-op.ts'
import { convGrad } from '../grads/conv.ts'
import { convShape, groupedConvAttrs } from '../shared/conv-shape.ts'
import { filterSize, macsPerOutput } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

export const Conv = defineOp({
  type: 'Conv',
  since: [1, 11, 22],
  inputs: ['X', 'W', 'B?'],
  outputs: ['Y'],
  attrs: groupedConvAttrs,
  infer: (cx) => [typed(cx, convShape(cx))],
  macs: (cx, [y]) => macsPerOutput(y, filterSize(cx.input(1)?.shape)),
  grad: convGrad,
  quant: { roles: ['activation', 'weight', 'bias'], traits: ['accumulates'] },
  weightChannelAxis: () => 0,
})
