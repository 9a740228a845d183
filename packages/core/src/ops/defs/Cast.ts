import type { Dim, TensorType } from '../../ir/index.ts'
import { type DType, dtypeInfo, isInteger } from '../../util/index.ts'
import { from, int, string } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { castGrad } from '../grads/select.ts'
import { dtypeAttr } from '../shared/data-rules.ts'
import { typed } from '../shared/rules.ts'

export const Cast = defineOp({
  type: 'Cast',
  since: [1, 6, 9, 13, 19, 21, 23, 24, 25, 28],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { to: int(), saturate: from(19, int(1)), round_mode: from(24, string('up')) },
  infer: (cx) => [typed(cx, cx.input(0)?.shape, dtypeAttr(cx, cx.attrs.to))],
  elements: (cx) => castElements(cx, dtypeAttr(cx, cx.attrs.to)),
  grad: castGrad,
})

export const CastLike = defineOp({
  type: 'CastLike',
  since: [15, 19, 21, 23, 24, 25],
  inputs: ['input', 'target_type'],
  outputs: ['output'],
  attrs: { saturate: from(19, int(1)), round_mode: from(24, string('up')) },
  infer: (cx) => [typed(cx, cx.input(0)?.shape, undefined, 1)],
  elements: (cx) => castElements(cx, cx.input(1)?.dtype),
})

export const BitCast = defineOp({
  type: 'BitCast',
  since: [26],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { to: int() },
  infer: (cx) => [typed(cx, cx.input(0)?.shape, dtypeAttr(cx, cx.attrs.to))],
})

const isWide = (dtype: DType): boolean => dtypeInfo(dtype).bits >= 32 && dtypeInfo(dtype).kind !== 'complex'

const isKnown = (dtype: DType): boolean => dtype === 'bool' || isWide(dtype)

/** Between types that hold every dimension exactly, numbers and symbols pass; to integers they lose their fraction, and truth is not 0. */
function castElements(cx: InferContext, to: DType | undefined): readonly Dim[] | undefined {
  const from: TensorType | undefined = cx.input(0)
  if (!from || !to || !isKnown(from.dtype) || !isKnown(to)) return undefined
  if (to === 'bool') return cx.elements(0)?.map((e) => (typeof e === 'number' ? Number(e !== 0) : null))
  return cx.elements(0)?.map((e) => (typeof e === 'number' && isInteger(to) ? Math.trunc(e) : e))
}
