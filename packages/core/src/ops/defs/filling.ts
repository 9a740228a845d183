import { int, optional } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { dtypeAttr } from '../shared/data-rules.ts'
import { likeInput, shapeOfRank, typed } from '../shared/rules.ts'

export const EyeLike = defineOp({
  type: 'EyeLike',
  since: [9, 22],
  inputs: ['input'],
  outputs: ['output'],
  attrs: { dtype: optional(int()), k: int(0) },
  infer: (cx) => {
    const { dtype } = cx.attrs
    return [typed(cx, shapeOfRank(cx, 0, 2), dtype === undefined ? undefined : dtypeAttr(cx, dtype))]
  },
})

export const Trilu = defineOp({
  type: 'Trilu',
  since: [14],
  inputs: ['input', 'k?'],
  outputs: ['output'],
  attrs: { upper: int(1) },
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'], traits: ['positively-homogeneous'] },
})

export const ReverseSequence = defineOp({
  type: 'ReverseSequence',
  since: [10, 28],
  inputs: ['input', 'sequence_lens'],
  outputs: ['Y'],
  attrs: { batch_axis: int(1), time_axis: int(0) },
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

export const Det = defineOp({
  type: 'Det',
  since: [11, 22],
  inputs: ['X'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, cx.input(0)?.shape?.slice(0, -2))],
})
