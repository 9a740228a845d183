import type { Shape } from '../../ir/index.ts'
import { float, ints, string, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { padGrad } from '../grads/pad.ts'
import { given } from '../shared/data-rules.ts'
import { addDims, knownElements, normalizeAxes, openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const Pad = defineOp({
  type: 'Pad',
  since: [1, 2, 11, 13, 18, 19, 21, 23, 24, 25],
  inputs: ['data', 'pads', 'constant_value?', 'axes?'],
  outputs: ['output'],
  attrs: { mode: string('constant'), pads: until(11, ints()), value: until(11, float(0)) },
  before: { 18: { inputs: ['data', 'pads', 'constant_value?'] }, 11: { inputs: ['data'] } },
  infer: (cx) => [typed(cx, padShape(cx, cx.attrs.pads))],
  // Not scale-preserving: the constant is an element of its own.
  grad: padGrad,
  quant: { roles: ['activation', 'parameter', 'fill', 'parameter'] },
})

/** Pads are all begins, then all ends, of the given axes; negative ones crop. */
function padShape(cx: InferContext, attribute: readonly number[] | undefined): Shape | undefined {
  const shape = cx.input(0)?.shape
  if (!shape) return undefined
  const pads = attribute ?? cx.elements(1)
  const axes = given(cx, 3) ? knownElements(cx, 3) : shape.map((_, i) => i)
  if (!pads || !axes) return openShape(shape.length)
  if (pads.length !== 2 * axes.length) cx.mismatch(`${pads.length} pads are given for ${axes.length} axes`)
  const output = [...shape]
  normalizeAxes(cx, axes, shape.length).forEach((axis, i) => {
    const both = addDims(pads[i] ?? null, pads[i + axes.length] ?? null)
    output[axis] = typeof both === 'string' ? null : addDims(shape[axis] ?? null, both)
  })
  return output
}
