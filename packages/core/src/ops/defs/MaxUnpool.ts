import type { Dim, Shape } from '../../ir/index.ts'
import { ints } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { openShape } from '../shared/dims.ts'
import { shapeOfMinRank, typed } from '../shared/rules.ts'

const attrs = { kernel_shape: ints(), pads: ints([]), strides: ints([]) }

export const MaxUnpool = defineOp({
  type: 'MaxUnpool',
  since: [9, 11, 22],
  inputs: ['X', 'I', 'output_shape?'],
  outputs: ['output'],
  attrs,
  infer: (cx) => [typed(cx, outputShape(cx))],
  quant: { roles: ['activation', 'parameter', 'parameter'] },
})

function outputShape(cx: InferContext<typeof attrs>): Shape | undefined {
  const x = shapeOfMinRank(cx, 0, 3)
  if (cx.inputCount > 2) return cx.elements(2) ?? (x && openShape(x.length))
  return x && [...x.slice(0, 2), ...x.slice(2).map((size, i) => unpool(cx, size, i))]
}

/** The inverse of pooling without dilation: stride·(size − 1) + kernel − pads. */
function unpool({ attrs: a }: InferContext<typeof attrs>, size: Dim, i: number): Dim {
  if (typeof size !== 'number') return null
  const pad = (a.pads[i] ?? 0) + (a.pads[i + a.kernel_shape.length] ?? 0)
  return (a.strides[i] ?? 1) * (size - 1) + (a.kernel_shape[i] ?? 1) - pad
}
