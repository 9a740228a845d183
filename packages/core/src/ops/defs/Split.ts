import type { Dim, ValueType } from '../../ir/index.ts'
import { from, int, ints, optional, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { splitGrad } from '../grads/layout.ts'
import { given, withDim } from '../shared/data-rules.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

const attrs = { axis: int(0), split: until(13, optional(ints())), num_outputs: from(18, optional(int())) }

export const Split = defineOp({
  type: 'Split',
  since: [1, 2, 11, 13, 18],
  inputs: ['input', 'split?'],
  outputs: ['outputs...'],
  attrs,
  before: { 13: { inputs: ['input'] } },
  infer: splitTypes,
  grad: splitGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

function splitTypes(cx: InferContext<typeof attrs>): readonly (ValueType | undefined)[] {
  const shape = cx.input(0)?.shape
  if (!shape) return Array.from({ length: cx.outputCount }, () => typed(cx, undefined))
  const axis = normalizeAxis(cx, cx.attrs.axis, shape.length)
  const size = shape[axis] ?? null
  const lengths = cx.attrs.split ?? (given(cx, 1) ? cx.elements(1) : equalParts(cx, size))
  const total = lengths?.reduce<number>((n, d) => (typeof d === 'number' ? n + d : Number.NaN), 0)
  if (typeof size === 'number' && total !== undefined && total !== size && !Number.isNaN(total)) {
    cx.mismatch(`parts of ${lengths?.join(' + ')} do not make up ${size}`)
  }
  return Array.from({ length: cx.outputCount }, (_, i) => typed(cx, withDim(shape, axis, lengths?.[i] ?? null)))
}

/** Up to version 17 the parts are equal; from 18 on the last one may be smaller. */
function equalParts(cx: InferContext<typeof attrs>, size: Dim): readonly number[] | undefined {
  const count = cx.attrs.num_outputs ?? cx.outputCount
  if (typeof size !== 'number' || count < 1) return undefined
  const part = Math.ceil(size / count)
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(part, size - i * part)))
}
