import { tensorType } from '../../ir/index.ts'
import { float, from, int, optional, until } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { dropoutGrad } from '../grads/select.ts'
import { typed } from '../shared/rules.ts'

/** The mask was of the data's type before version 10 and is boolean since. */
export const Dropout = defineOp({
  type: 'Dropout',
  since: [1, 6, 7, 10, 12, 13, 22],
  inputs: ['data', 'ratio?', 'training_mode?'],
  outputs: ['output', 'mask?'],
  before: { 12: { inputs: ['data'] } },
  attrs: { is_test: until(7, int(0)), ratio: until(12, float(0.5)), seed: from(12, optional(int())) },
  infer(cx) {
    const output = typed(cx, cx.input(0)?.shape)
    return [output, cx.version < 10 ? output : tensorType('bool', cx.input(0)?.shape)]
  },
  grad: dropoutGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving', 'impure'] },
})
