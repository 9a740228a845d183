import { defineOp } from '../define-op.ts'
import { preluGrad } from '../grads/select.ts'
import { likeInput } from '../shared/rules.ts'

/** The slope broadcasts to the input, never the other way round. */
export const PRelu = defineOp({
  type: 'PRelu',
  since: [1, 6, 7, 9, 16],
  inputs: ['X', 'slope'],
  outputs: ['Y'],
  infer: likeInput,
  grad: preluGrad,
  learned: [null, 'weight'],
  quant: { roles: ['activation', 'activation'], traits: ['positively-homogeneous'] },
})
