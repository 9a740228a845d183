import { int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { globalAverageGrad, globalMaxGrad } from '../grads/pool.ts'
import { globalPoolShape } from '../shared/pool-shape.ts'
import { typed } from '../shared/rules.ts'

export const GlobalAveragePool = defineOp({
  type: 'GlobalAveragePool',
  since: [1, 22],
  inputs: ['X'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, globalPoolShape(cx))],
  grad: globalAverageGrad,
  quant: { roles: ['activation'], traits: ['averaging', 'positively-homogeneous', 'channelwise'] },
})

export const GlobalMaxPool = defineOp({
  type: 'GlobalMaxPool',
  since: [1, 22],
  inputs: ['X'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, globalPoolShape(cx))],
  grad: globalMaxGrad,
  quant: { roles: ['activation'], traits: ['scale-preserving', 'positively-homogeneous', 'channelwise'] },
})

export const GlobalLpPool = defineOp({
  type: 'GlobalLpPool',
  since: [1, 2, 22],
  inputs: ['X'],
  outputs: ['Y'],
  attrs: { p: int(2) },
  infer: (cx) => [typed(cx, globalPoolShape(cx))],
  quant: { roles: ['activation'], traits: ['non-negative', 'positively-homogeneous', 'channelwise'] },
})
