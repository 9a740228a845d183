import { string } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { einsumGrad } from '../grads/einsum.ts'
import { sizeOf } from '../shared/dims.ts'
import { einsumPlan } from '../shared/einsum-plan.ts'
import { typed } from '../shared/rules.ts'

export const Einsum = defineOp({
  type: 'Einsum',
  since: [12],
  inputs: ['Inputs...'],
  outputs: ['Output'],
  attrs: { equation: string() },
  infer(cx) {
    const plan = einsumPlan(cx)
    return [
      typed(
        cx,
        plan?.output.map((label) => plan.sizes.get(label) ?? null),
      ),
    ]
  },
  macs(cx) {
    const plan = einsumPlan(cx)
    const size = plan && sizeOf([...plan.sizes.values()])
    return typeof size === 'number' ? size : undefined
  },
  grad: einsumGrad,
  quant: { roles: ['activation'] },
})
