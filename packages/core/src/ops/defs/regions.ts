import { float, from, int, ints, string } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { shapeOfRank, typed } from '../shared/rules.ts'

/** One pooled picture per region of interest: rois is [R, 5]. */
export const MaxRoiPool = defineOp({
  type: 'MaxRoiPool',
  since: [1, 22],
  inputs: ['X', 'rois'],
  outputs: ['Y'],
  attrs: { pooled_shape: ints(), spatial_scale: float(1) },
  infer(cx) {
    const regions = shapeOfRank(cx, 1, 2)?.[0] ?? null
    return [typed(cx, [regions, shapeOfRank(cx, 0, 4)?.[1] ?? null, ...cx.attrs.pooled_shape])]
  },
  quant: { roles: ['activation', 'parameter'] },
})

/** As above with bilinear sampling: rois is [R, 4], batch_indices is [R]. */
export const RoiAlign = defineOp({
  type: 'RoiAlign',
  since: [10, 16, 22],
  inputs: ['X', 'rois', 'batch_indices'],
  outputs: ['Y'],
  attrs: {
    coordinate_transformation_mode: from(16, string('half_pixel')),
    mode: string('avg'),
    output_height: int(1),
    output_width: int(1),
    sampling_ratio: int(0),
    spatial_scale: float(1),
  },
  infer(cx) {
    const regions = shapeOfRank(cx, 1, 2)?.[0] ?? shapeOfRank(cx, 2, 1)?.[0] ?? null
    const channels = shapeOfRank(cx, 0, 4)?.[1] ?? null
    return [typed(cx, [regions, channels, cx.attrs.output_height, cx.attrs.output_width])]
  },
  quant: { roles: ['activation', 'parameter', 'parameter'] },
})
