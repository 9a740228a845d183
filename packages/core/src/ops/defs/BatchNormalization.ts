import { float, from, int, until } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { batchNormGrad } from '../grads/batch-norm.ts'
import { typed } from '../shared/rules.ts'

const TRAINING_OUTPUTS = ['Y', 'mean?', 'var?', 'saved_mean?', 'saved_var?']

export const BatchNormalization = defineOp({
  type: 'BatchNormalization',
  since: [1, 6, 7, 9, 14, 15],
  inputs: ['X', 'scale', 'B', 'input_mean', 'input_var'],
  outputs: ['Y', 'running_mean?', 'running_var?'],
  before: { 14: { inputs: ['X', 'scale', 'B', 'mean', 'var'], outputs: TRAINING_OUTPUTS } },
  attrs: {
    epsilon: float(1e-5),
    momentum: float(0.9),
    is_test: until(7, int(0)),
    spatial: until(9, int(1)),
    training_mode: from(14, int(0)),
  },
  infer(cx) {
    const statistics = typed(cx, cx.input(3)?.shape, undefined, 3)
    return [typed(cx, cx.input(0)?.shape), ...Array(Math.max(0, cx.outputCount - 1)).fill(statistics)]
  },
  grad: batchNormGrad,
  learned: [null, 'norm', 'norm'],
  quant: { roles: ['activation', 'parameter'] },
})
