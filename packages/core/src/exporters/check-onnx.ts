import { isBinary, type QuantForm, qdqObstacle, requiredOpset } from '../quant/index.ts'
import { type Diagnostic, Diagnostics } from '../util/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext } from './define.ts'

/** Integers on an even grid, or the signs of binary weights; what is stored as codes is quantized already, however it was rounded. */
const holds: Holds = ({ role, spec }, params) => {
  if (spec.format && (role === 'activation' || !isBinary(spec.format)))
    return `its numbers are ${spec.format.kind}, not integers on an even grid`
  return (role === 'activation' ? qdqObstacle(spec, params) : undefined) ?? true
}

/** What stands in the way of forms that begin with QuantizeLinear and DequantizeLinear: EXPORT_OPSET and what is incomplete. */
export const checkQdq = (cx: ExportContext): Diagnostic[] => [...checkOpset(cx, 'qdq'), ...complete(cx, { holds })]

/** EXPORT_OPSET where the model's operators cannot say what the plan wants. */
export function checkOpset({ model, plan, target }: ExportContext, form: QuantForm): readonly Diagnostic[] {
  const diagnostics = new Diagnostics()
  const needed = Math.max(target.minOpset, requiredOpset(plan, form))
  if (plan.tensors.length > 0 && model.opset() < needed) {
    diagnostics.error('EXPORT_OPSET', `the plan needs opset ${needed}, and the model has ${model.opset()}`, {
      fix: `convert the model to opset ${needed} first`,
    })
  }
  return diagnostics.list
}
