import type { Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { normalizeAxes } from '../shared/dims.ts'
import { scalesOf } from '../shared/scaled-shape.ts'
import { alongAxis } from './along-axis.ts'
import { isResamplingMode, type Resampling, resamplingMatrix } from './resampling-matrix.ts'

/** Resizing is a linear map along each axis, y = R·x, so dx = Rᵀ·dy along each resized axis. */
export function resizeGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  const [x, y] = [cx.input(0)?.shape, cx.output(0)?.shape]
  if (!dy) return []
  if (!x?.every((d) => typeof d === 'number') || !y?.every((d) => typeof d === 'number')) return cx.open('its sizes')
  const how = resamplingOf(cx)
  if (!isResamplingMode(how) || cx.attrs.antialias) {
    return cx.unsupported(`mode "${how.mode}" with coordinates "${how.coordinates}"`)
  }
  const axes = cx.attrs.axes ? normalizeAxes(cx, cx.attrs.axes, x.length) : [...x.keys()]
  const scales = scalesOf(cx, 2)
  const resized = [...x.keys()].filter((axis) => x[axis] !== y[axis])
  return [
    resized.reduce((part: Value, axis) => {
      const [from, to] = [x[axis] as number, y[axis] as number]
      const scale = Math.fround(scales?.[axes.indexOf(axis)] ?? to / from)
      return alongAxis(cx, part, axis, resamplingMatrix(how, from, to, scale), [to, from])
    }, dy),
  ]
}

const resamplingOf = ({ attrs }: GradContext): Resampling => ({
  mode: attrs.mode,
  coordinates: attrs.coordinate_transformation_mode,
  nearest: attrs.nearest_mode,
  cubic: attrs.cubic_coeff_a,
  excludeOutside: attrs.exclude_outside !== 0,
})
