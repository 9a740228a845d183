import type { Dim, Shape } from '../../ir/index.ts'
import { int } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { concatGrad } from '../grads/layout.ts'
import { unifyShapes, withDim } from '../shared/data-rules.ts'
import { addDims, dimsConflict, normalizeAxis } from '../shared/dims.ts'
import { range } from '../shared/flat-elements.ts'
import { typed } from '../shared/rules.ts'

export const Concat = defineOp({
  type: 'Concat',
  since: [1, 4, 11, 13],
  inputs: ['inputs...'],
  outputs: ['concat_result'],
  attrs: { axis: int() },
  infer: (cx) => [typed(cx, concatShape(cx, range(cx.inputCount), cx.attrs.axis))],
  elements: (cx) => {
    if (cx.input(0)?.shape?.length !== 1) return undefined
    const lists = range(cx.inputCount).map((i) => cx.elements(i))
    return lists.every((list) => list !== undefined) ? lists.flat() : undefined
  },
  grad: concatGrad,
  quant: { roles: ['activation'], traits: ['same-scale-inputs'] },
})

/** Shape of the given inputs joined along an axis. */
export function concatShape(cx: InferContext, inputs: readonly number[], axisAttr: number): Shape | undefined {
  const shapes = inputs.map((i) => cx.input(i)?.shape)
  const common = unifyShapes(shapes)
  if (!common) {
    const ranks = new Set(shapes.flatMap((s) => (s ? [s.length] : [])))
    return ranks.size > 1 ? cx.mismatch(`inputs of ranks ${[...ranks].join(' and ')} cannot be joined`) : undefined
  }
  const axis = normalizeAxis(cx, axisAttr, common.length)
  for (const shape of shapes) {
    shape?.forEach((d, i) => {
      if (i !== axis && dimsConflict(d, common[i] ?? null)) cx.mismatch(`dimension ${i} is ${d} and ${common[i]}`)
    })
  }
  return withDim(common, axis, shapes.map((s): Dim => s?.[axis] ?? null).reduce(addDims))
}
