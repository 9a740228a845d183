import { tensorType } from '../../ir/index.ts'
import { from, int, ints } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { maxPoolGrad } from '../grads/pool.ts'
import { ceilMode, poolAttrs, poolShape } from '../shared/pool-shape.ts'
import { typed } from '../shared/rules.ts'

export const MaxPool = defineOp({
  type: 'MaxPool',
  since: [1, 8, 10, 11, 12, 22],
  inputs: ['X'],
  outputs: ['Y', 'Indices?'],
  before: { 8: { outputs: ['Y'] } },
  attrs: {
    ...poolAttrs,
    storage_order: from(8, int(0)),
    ceil_mode: from(10, ceilMode),
    dilations: from(10, ints([])),
  },
  infer(cx) {
    const shape = poolShape(cx, cx.attrs)
    return [typed(cx, shape), tensorType('int64', shape)]
  },
  grad: maxPoolGrad,
  quant: { roles: ['activation'], traits: ['scale-preserving', 'channelwise'] },
})
