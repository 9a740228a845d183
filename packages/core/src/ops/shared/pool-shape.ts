import type { Shape } from '../../ir/index.ts'
import { int, ints, string } from '../attrs.ts'
import type { InferContext } from '../define-op.ts'
import { slideWindow, type WindowAttrs, windowOf } from './conv-geometry.ts'
import { openShape } from './dims.ts'
import { shapeOfMinRank } from './rules.ts'

/** Attributes that all pooling operators have had from the first version. */
export const poolAttrs = {
  auto_pad: string('NOTSET'),
  kernel_shape: ints(),
  pads: ints([]),
  strides: ints([]),
}

export const ceilMode = int(0)

/** [N, C, spatial…] of pooling X [N, C, spatial…]. */
export function poolShape(cx: InferContext, a: WindowAttrs & { kernel_shape: readonly number[] }): Shape | undefined {
  const x = shapeOfMinRank(cx, 0, 3)
  if (!x) return openShape(a.kernel_shape.length + 2)
  return [...x.slice(0, 2), ...slideWindow(cx, x.slice(2), windowOf(a.kernel_shape, a))]
}

/** [N, C, 1, …, 1]: pooling over everything spatial. */
export function globalPoolShape(cx: InferContext): Shape | undefined {
  return shapeOfMinRank(cx, 0, 2)?.map((d, i) => (i < 2 ? d : 1))
}
