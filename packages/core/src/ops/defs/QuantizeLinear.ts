import { from, int } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { dtypeAttr } from '../shared/data-rules.ts'
import { typed } from '../shared/rules.ts'

const attrs = {
  axis: from(13, int(1)),
  saturate: from(19, int(1)),
  block_size: from(21, int(0)),
  output_dtype: from(21, int(0)),
  precision: from(23, int(0)),
}

export const QuantizeLinear = defineOp({
  type: 'QuantizeLinear',
  since: [10, 13, 19, 21, 23, 24, 25, 28],
  inputs: ['x', 'y_scale', 'y_zero_point?'],
  outputs: ['y'],
  attrs,
  infer: (cx) => [typed(cx, cx.input(0)?.shape, quantizedType(cx))],
  quant: { roles: ['activation', 'parameter', 'parameter'], traits: ['quantizer'] },
})

/** The zero point's type, else `output_dtype`, else uint8. */
function quantizedType(cx: InferContext<typeof attrs>) {
  const zeroPoint = cx.input(2)?.dtype
  if (zeroPoint) return zeroPoint
  return cx.attrs.output_dtype === 0 ? 'uint8' : dtypeAttr(cx, cx.attrs.output_dtype)
}
