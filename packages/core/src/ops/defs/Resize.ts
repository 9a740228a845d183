import type { Dim, Shape } from '../../ir/index.ts'
import { float, from, int, ints, optional, string } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { resizeGrad } from '../grads/resize.ts'
import { normalizeAxes, openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'
import { scaleDim, scalesOf } from '../shared/scaled-shape.ts'

const attrs = {
  antialias: from(18, int(0)),
  axes: from(18, optional(ints())),
  coordinate_transformation_mode: from(11, string('half_pixel')),
  cubic_coeff_a: from(11, float(-0.75)),
  exclude_outside: from(11, int(0)),
  extrapolation_value: from(11, float(0)),
  keep_aspect_ratio_policy: from(18, string('stretch')),
  mode: string('nearest'),
  nearest_mode: from(11, string('round_prefer_floor')),
}
type Context = InferContext<typeof attrs>

/** Nearest copies elements and linear stays between them; cubic may overshoot, which an int8 kernel saturates. */
export const Resize = defineOp({
  type: 'Resize',
  since: [10, 11, 13, 18, 19],
  inputs: ['X', 'roi?', 'scales?', 'sizes?'],
  outputs: ['Y'],
  before: { 11: { inputs: ['X', 'scales'] }, 13: { inputs: ['X', 'roi', 'scales', 'sizes?'] } },
  attrs,
  infer: (cx) => [typed(cx, resizedShape(cx))],
  grad: resizeGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving', 'channelwise'] },
})

function resizedShape(cx: Context): Shape | undefined {
  const x = cx.input(0)?.shape
  if (!x) return undefined
  const axes = cx.attrs.axes ? normalizeAxes(cx, cx.attrs.axes, x.length) : [...x.keys()]
  const resized = cx.node.inputs[3] ? bySizes(cx, x, axes) : byScales(cx, x, axes)
  return resized ? x.map((d, i) => (axes.includes(i) ? (resized[axes.indexOf(i)] ?? null) : d)) : openShape(x.length)
}

function byScales(cx: Context, x: Shape, axes: readonly number[]): readonly Dim[] | undefined {
  const regions = cx.attrs.coordinate_transformation_mode === 'tf_crop_and_resize'
  const scales = scalesOf(cx, cx.version < 11 ? 1 : 2)
  const roi = regions ? cx.elements(1) : undefined
  if (scales && scales.length !== axes.length) cx.mismatch(`${scales.length} scales for ${axes.length} axes`)
  return scales?.map((scale, i) => {
    const d = x[axes[i] ?? 0] ?? null
    return regions ? cropDim(d, scale, roi?.[i] ?? null, roi?.[i + axes.length] ?? null) : scaleDim(d, scale)
  })
}

/** A region keeps the fraction end − start of the axis before it is scaled. */
function cropDim(d: Dim, scale: number, start: Dim, end: Dim): Dim {
  if (typeof d !== 'number' || typeof start !== 'number' || typeof end !== 'number') return null
  return Math.floor(d * (end - start) * scale)
}

function bySizes(cx: Context, x: Shape, axes: readonly number[]): readonly Dim[] | undefined {
  const sizes = cx.elements(3)
  if (!sizes || cx.attrs.keep_aspect_ratio_policy === 'stretch') return sizes
  const ratios = sizes.map((size, i) => ratio(size, x[axes[i] ?? 0] ?? null))
  if (!ratios.every((r) => r !== undefined)) return openShape(sizes.length)
  const scale = cx.attrs.keep_aspect_ratio_policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  return axes.map((axis) => roundHalfUp(scale * Number(x[axis])))
}

const ratio = (size: Dim, d: Dim): number | undefined =>
  typeof size === 'number' && typeof d === 'number' ? size / d : undefined

/** As the specification of `sizes` has it. */
const roundHalfUp = (x: number): number => Math.floor(x + 0.5)
