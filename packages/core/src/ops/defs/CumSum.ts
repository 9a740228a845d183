import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { likeInput } from '../shared/rules.ts'

export const CumSum = defineOp({
  type: 'CumSum',
  since: [11, 14],
  inputs: ['x', 'axis'],
  outputs: ['y'],
  attrs: { exclusive: int(0), reverse: int(0) },
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'] },
})
