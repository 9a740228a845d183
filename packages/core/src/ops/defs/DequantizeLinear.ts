import { from, int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { dtypeAttr } from '../shared/data-rules.ts'
import { typed } from '../shared/rules.ts'

export const DequantizeLinear = defineOp({
  type: 'DequantizeLinear',
  since: [10, 13, 19, 21, 23, 24, 25, 28],
  inputs: ['x', 'x_scale', 'x_zero_point?'],
  outputs: ['y'],
  attrs: { axis: from(13, int(1)), block_size: from(21, int(0)), output_dtype: from(23, int(0)) },
  infer: (cx) => {
    const code = cx.attrs.output_dtype
    return [typed(cx, cx.input(0)?.shape, code === 0 ? undefined : dtypeAttr(cx, code), 1)]
  },
  quant: { roles: ['activation', 'parameter', 'parameter'], traits: ['quantizer'] },
})
