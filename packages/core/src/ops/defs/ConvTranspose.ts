import type { Dim, Shape } from '../../ir/index.ts'
import { ints } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { convTransposeGrad } from '../grads/conv.ts'
import { kernelDims, windowAxis, windowOf } from '../shared/conv-geometry.ts'
import { groupedConvAttrs } from '../shared/conv-shape.ts'
import { dimsConflict, mulDims, openShape } from '../shared/dims.ts'
import { filterSize, macsPerOutput } from '../shared/products.ts'
import { shapeOfMinRank, typed } from '../shared/rules.ts'

const attrs = { ...groupedConvAttrs, output_padding: ints([]), output_shape: ints([]) }
type Context = InferContext<typeof attrs>

export const ConvTranspose = defineOp({
  type: 'ConvTranspose',
  since: [1, 11, 22],
  inputs: ['X', 'W', 'B?'],
  outputs: ['Y'],
  attrs,
  infer: (cx) => [typed(cx, outputShape(cx))],
  macs: (cx) => macsPerOutput(cx.input(0)?.shape, filterSize(cx.input(1)?.shape)),
  grad: convTransposeGrad,
  quant: { roles: ['activation', 'weight', 'bias'], traits: ['accumulates'] },
  weightChannelAxis: () => 1,
})

/** [N, M, spatial…] of X [N, C, spatial…] with W [C, M/group, kernel…]. */
function outputShape(cx: Context): Shape | undefined {
  const x = shapeOfMinRank(cx, 0, 3)
  const w = shapeOfMinRank(cx, 1, 3)
  if (!x) return w && openShape(w.length)
  if (dimsConflict(x[1] ?? null, w?.[0] ?? null)) cx.mismatch(`the input has ${x[1]} channels, the weight ${w?.[0]}`)
  return [x[0] ?? null, mulDims(w?.[1] ?? null, cx.attrs.group), ...outputSpatial(cx, x.slice(2), w)]
}

function outputSpatial(cx: Context, spatial: Shape, w: Shape | undefined): Shape {
  const { output_shape, output_padding, kernel_shape } = cx.attrs
  if (output_shape.length > 0) return output_shape.slice(-spatial.length)
  const kernel = kernelDims(kernel_shape, w)
  if (!kernel) return openShape(spatial.length)
  const window = windowOf(kernel, cx.attrs)
  return spatial.map((size, i) => spread(size, windowAxis(window, i), output_padding[i] ?? 0))
}

/** Output size along one axis: stride·(size − 1) + output padding + dilated kernel − pads. */
function spread(size: Dim, axis: ReturnType<typeof windowAxis>, extra: number): Dim {
  const { kernel, stride, dilation, padBegin, padEnd, same } = axis
  if (same) return mulDims(size, stride)
  if (typeof kernel !== 'number') return null
  const border = extra + (kernel - 1) * dilation + 1 - padBegin - padEnd - stride
  return typeof size === 'number' ? size * stride + border : stride === 1 && border === 0 ? size : null
}
