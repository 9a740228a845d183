import { defineOp } from '../define-op.ts'
import { expandGrad } from '../grads/layout.ts'
import { broadcastShapes } from '../shared/broadcast.ts'
import { shapeFrom } from '../shared/data-rules.ts'
import { typed } from '../shared/rules.ts'

export const Expand = defineOp({
  type: 'Expand',
  since: [8, 13],
  inputs: ['input', 'shape'],
  outputs: ['output'],
  infer: (cx) => [typed(cx, broadcastShapes(cx, [cx.input(0)?.shape, shapeFrom(cx, 1)]))],
  grad: expandGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})
