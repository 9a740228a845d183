import { from, int, ints } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { ceilMode, poolAttrs, poolShape } from '../shared/pool-shape.ts'
import { typed } from '../shared/rules.ts'

export const LpPool = defineOp({
  type: 'LpPool',
  since: [1, 2, 11, 18, 22],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: { ...poolAttrs, p: int(2), ceil_mode: from(18, ceilMode), dilations: from(18, ints([])) },
  infer: (cx) => [typed(cx, poolShape(cx, cx.attrs))],
  quant: { roles: ['activation'], traits: ['non-negative', 'positively-homogeneous', 'channelwise'] },
})
