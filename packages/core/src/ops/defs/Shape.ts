import { tensorType } from '../../ir/index.ts'
import { from, int, optional } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { sizeOf } from '../shared/dims.ts'

const attrs = { start: from(15, int(0)), end: from(15, optional(int())) }

export const Shape = defineOp({
  type: 'Shape',
  since: [1, 13, 15, 19, 21, 23, 24, 25],
  inputs: ['data'],
  outputs: ['shape'],
  attrs,
  infer: (cx) => [tensorType('int64', [picked(cx)?.length ?? null])],
  elements: (cx) => picked(cx),
  quant: { traits: ['shape-source'] },
})

/** Out-of-range bounds clamp, as in array slicing. */
const picked = (cx: InferContext<typeof attrs>) => cx.input(0)?.shape?.slice(cx.attrs.start, cx.attrs.end)

export const Size = defineOp({
  type: 'Size',
  since: [1, 13, 19, 21, 23, 24, 25],
  inputs: ['data'],
  outputs: ['size'],
  infer: () => [tensorType('int64', [])],
  elements: (cx) => {
    const shape = cx.input(0)?.shape
    return shape && [sizeOf(shape)]
  },
  quant: { traits: ['shape-source'] },
})
