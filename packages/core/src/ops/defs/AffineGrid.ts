import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { typed } from '../shared/rules.ts'

/** size [N, C, (D,) H, W] gives a grid [N, (D,) H, W, 2 or 3]. */
export const AffineGrid = defineOp({
  type: 'AffineGrid',
  since: [20],
  inputs: ['theta', 'size'],
  outputs: ['grid'],
  attrs: { align_corners: int(0) },
  infer(cx) {
    const size = cx.elements(1)
    return [typed(cx, size && [size[0] ?? null, ...size.slice(2), size.length - 2])]
  },
})
