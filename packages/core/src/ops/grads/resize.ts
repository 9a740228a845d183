import type { Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { normalizeAxes } from '../shared/dims.ts'
import { scalesOf } from '../shared/scaled-shape.ts'
import { isResamplingMode, resamplingMatrix } from './resampling-matrix.ts'

/** Resizing is a linear map along each axis, y = R·x, so dx = Rᵀ·dy along each resized axis. */
export function resizeGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  const [x, y] = [cx.input(0)?.shape, cx.output(0)?.shape]
  if (!dy) return []
  if (!x?.every((d) => typeof d === 'number') || !y?.every((d) => typeof d === 'number')) return cx.open('its sizes')
  const { mode, coordinate_transformation_mode: coordinates, nearest_mode: nearest } = cx.attrs
  if (!isResamplingMode({ mode, coordinates, nearest }) || cx.attrs.antialias) {
    return cx.unsupported(`mode "${mode}" with coordinates "${coordinates}"`)
  }
  const axes = cx.attrs.axes ? normalizeAxes(cx, cx.attrs.axes, x.length) : [...x.keys()]
  const scales = scalesOf(cx, 2)
  const resized = [...x.keys()].filter((axis) => x[axis] !== y[axis])
  return [
    resized.reduce((part: Value, axis) => {
      const [from, to] = [x[axis] as number, y[axis] as number]
      const scale = Math.fround(scales?.[axes.indexOf(axis)] ?? to / from)
      return along(cx, part, axis, resamplingMatrix({ mode, coordinates, nearest }, from, to, scale), to, from)
    }, dy),
  ]
}

/** Multiplies along one axis by the transpose of a matrix [to, from]. */
function along(cx: GradContext, x: Value, axis: number, matrix: Float64Array, to: number, from: number): Value {
  const { g } = cx
  const rank = cx.input(0)?.shape?.length ?? 0
  const swap = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  return g.transpose(g.op('MatMul', [g.transpose(x, swap), g.tensor([to, from], matrix)]), swap)
}
