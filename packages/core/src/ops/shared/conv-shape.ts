import type { Shape } from '../../ir/index.ts'
import { int } from '../attrs.ts'
import type { InferContext } from '../define-op.ts'
import { convAttrs, kernelDims, slideWindow, windowOf } from './conv-geometry.ts'
import { dimsConflict, mulDims, openShape } from './dims.ts'
import { shapeOfMinRank } from './rules.ts'

export const groupedConvAttrs = { ...convAttrs, group: int(1) }

/** [N, M, spatial…] of a convolution of X [N, C, spatial…] with W [M, C/group, kernel…], which is input `weight`. */
export function convShape(cx: InferContext<typeof groupedConvAttrs>, weight = 1): Shape | undefined {
  const x = shapeOfMinRank(cx, 0, 3)
  const w = shapeOfMinRank(cx, weight, 3)
  if (!x) return w && openShape(w.length)
  const channels = mulDims(w?.[1] ?? null, cx.attrs.group)
  if (dimsConflict(x[1] ?? null, channels)) {
    cx.mismatch(`the input has ${x[1]} channels, the weight expects ${channels}`)
  }
  const kernel = kernelDims(cx.attrs.kernel_shape, w)
  const spatial = kernel ? slideWindow(cx, x.slice(2), windowOf(kernel, cx.attrs)) : openShape(x.length - 2)
  return [x[0] ?? null, w?.[0] ?? null, ...spatial]
}
