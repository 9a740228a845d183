import type { Shape } from '../../ir/index.ts'
import { int, optional, string } from '../attrs.ts'
import { type AttrSpec, defineOp, type InferContext } from '../define-op.ts'
import { typed } from '../shared/rules.ts'

const attrs = { ignore_index: optional(int()), reduction: string('mean') }

/** One loss per target, or a scalar. */
const lossShape = (cx: InferContext<{ readonly reduction: AttrSpec<string> }>): Shape | undefined =>
  cx.attrs.reduction === 'none' ? cx.input(1)?.shape : []

export const NegativeLogLikelihoodLoss = defineOp({
  type: 'NegativeLogLikelihoodLoss',
  since: [12, 13, 22],
  inputs: ['input', 'target', 'weight?'],
  outputs: ['loss'],
  attrs,
  infer: (cx) => [typed(cx, lossShape(cx))],
})

export const SoftmaxCrossEntropyLoss = defineOp({
  type: 'SoftmaxCrossEntropyLoss',
  since: [12, 13],
  inputs: ['scores', 'labels', 'weights?'],
  outputs: ['output', 'log_prob?'],
  attrs,
  infer: (cx) => [typed(cx, lossShape(cx)), typed(cx, cx.input(0)?.shape)],
})
