import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { convShape, groupedConvAttrs } from '../shared/conv-shape.ts'
import { filterSize, macsPerOutput } from '../shared/products.ts'
import { typed } from '../shared/rules.ts'

const { auto_pad: _, ...attrs } = groupedConvAttrs

export const DeformConv = defineOp({
  type: 'DeformConv',
  since: [19, 22],
  inputs: ['X', 'W', 'offset', 'B?', 'mask?'],
  outputs: ['Y'],
  attrs: { ...attrs, offset_group: int(1) },
  infer: (cx) => [typed(cx, convShape({ ...cx, attrs: { ...cx.attrs, auto_pad: 'NOTSET' } }))],
  macs: (cx, [y]) => macsPerOutput(y, filterSize(cx.input(1)?.shape)),
  quant: { roles: ['activation', 'weight', 'parameter', 'bias', 'parameter'], traits: ['accumulates'] },
  weightChannelAxis: () => 0,
})
