import { from, int, ints } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { averagePoolGrad } from '../grads/pool.ts'
import { ceilMode, poolAttrs, poolShape } from '../shared/pool-shape.ts'
import { typed } from '../shared/rules.ts'

export const AveragePool = defineOp({
  type: 'AveragePool',
  since: [1, 7, 10, 11, 19, 22],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: {
    ...poolAttrs,
    count_include_pad: from(7, int(0)),
    ceil_mode: from(10, ceilMode),
    dilations: from(19, ints([])),
  },
  infer: (cx) => [typed(cx, poolShape(cx, cx.attrs))],
  grad: averagePoolGrad,
  quant: { roles: ['activation'], traits: ['averaging', 'positively-homogeneous', 'channelwise'] },
})
