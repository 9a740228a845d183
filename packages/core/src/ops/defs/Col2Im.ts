import type { Dim } from '../../ir/index.ts'
import { ints } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { sizeOf } from '../shared/dims.ts'
import { shapeOfRank, typed } from '../shared/rules.ts'

/** input [N, C·prod(block), L] gives [N, C, image…]. */
export const Col2Im = defineOp({
  type: 'Col2Im',
  since: [18],
  inputs: ['input', 'image_shape', 'block_shape'],
  outputs: ['output'],
  attrs: { dilations: ints([]), pads: ints([]), strides: ints([]) },
  infer(cx) {
    const x = shapeOfRank(cx, 0, 3)
    const image = cx.elements(1)
    const block = cx.elements(2)
    return [typed(cx, image && [x?.[0] ?? null, channels(x?.[1] ?? null, block ? sizeOf(block) : null), ...image])]
  },
  quant: { roles: ['activation', 'parameter'] },
})

const channels = (columns: Dim, block: Dim): Dim =>
  typeof columns === 'number' && typeof block === 'number' && block > 0 ? columns / block : null
