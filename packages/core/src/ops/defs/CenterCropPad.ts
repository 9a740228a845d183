import { ints, optional } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { normalizeAxes } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const CenterCropPad = defineOp({
  type: 'CenterCropPad',
  since: [18],
  inputs: ['input_data', 'shape'],
  outputs: ['output_data'],
  attrs: { axes: optional(ints()) },
  infer(cx) {
    const x = cx.input(0)?.shape
    const axes = x && (cx.attrs.axes ? normalizeAxes(cx, cx.attrs.axes, x.length) : [...x.keys()])
    const sizes = cx.elements(1)
    return [
      typed(
        cx,
        x?.map((d, i) => (axes?.includes(i) ? (sizes?.[axes.indexOf(i)] ?? null) : d)),
      ),
    ]
  },
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})
