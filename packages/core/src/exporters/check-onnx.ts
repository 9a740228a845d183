import { requiredOpset } from '../quant/index.ts'
import { type Diagnostic, Diagnostics } from '../util/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext } from './define.ts'

/** QuantizeLinear knows integers on an even grid. */
const isInteger: Holds = ({ spec }) =>
  spec.format === undefined || `its numbers are ${spec.format.kind}, not integers on an even grid`

/** What stands in the way of forms that begin with QuantizeLinear and DequantizeLinear: EXPORT_OPSET and what is incomplete. */
export function checkQdq(cx: ExportContext): Diagnostic[] {
  const { model, plan, target } = cx
  const diagnostics = new Diagnostics()
  const needed = Math.max(target.minOpset, requiredOpset(plan))
  if (plan.tensors.length > 0 && model.opset() < needed) {
    diagnostics.error('EXPORT_OPSET', `the plan needs opset ${needed}, and the model has ${model.opset()}`, {
      fix: `convert the model to opset ${needed} first`,
    })
  }
  return [...diagnostics.list, ...complete(cx, { holds: isInteger })]
}
