import { type Shape, tensorType } from '../../ir/index.ts'
import { int, optional } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { withDim } from '../shared/data-rules.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

/** Operators whose output sizes depend on the elements. */

export const NonZero = defineOp({
  type: 'NonZero',
  since: [9, 13],
  inputs: ['X'],
  outputs: ['Y'],
  // A scalar counts as a vector of one element.
  infer: (cx) => [
    tensorType('int64', [cx.input(0)?.shape ? Math.max(1, cx.input(0)?.shape?.length ?? 0) : null, null]),
  ],
})

/** With an axis that axis becomes open; without one the result is an open vector. */
function picked(cx: InferContext, axis: number | undefined): Shape | undefined {
  if (axis === undefined) return [null]
  const shape = cx.input(0)?.shape
  return shape && withDim(shape, normalizeAxis(cx, axis, shape.length), null)
}

export const Unique = defineOp({
  type: 'Unique',
  since: [11, 28],
  inputs: ['X'],
  outputs: ['Y', 'indices?', 'inverse_indices?', 'counts?'],
  attrs: { axis: optional(int()), sorted: int(1) },
  infer: (cx) => {
    const index = tensorType('int64', [null])
    return [typed(cx, picked(cx, cx.attrs.axis)), index, index, index]
  },
})

export const Compress = defineOp({
  type: 'Compress',
  since: [9, 11, 28],
  inputs: ['input', 'condition'],
  outputs: ['output'],
  attrs: { axis: optional(int()) },
  infer: (cx) => [typed(cx, picked(cx, cx.attrs.axis))],
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

export const NonMaxSuppression = defineOp({
  type: 'NonMaxSuppression',
  since: [10, 11],
  inputs: ['boxes', 'scores', 'max_output_boxes_per_class?', 'iou_threshold?', 'score_threshold?'],
  outputs: ['selected_indices'],
  attrs: { center_point_box: int(0) },
  infer: () => [tensorType('int64', [null, 3])],
  quant: { traits: ['selecting'] },
})
