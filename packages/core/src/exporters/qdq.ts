import { materialize, requiredOpset } from '../quant/index.ts'
import { Diagnostics } from '../util/index.ts'
import type { Exporter } from './define.ts'

/** ONNX with QuantizeLinear and DequantizeLinear, which runtimes fuse into integer kernels. */
export const qdq: Exporter = {
  name: 'qdq',
  summary: 'ONNX with QuantizeLinear and DequantizeLinear nodes',
  check({ model, plan, params, target }) {
    const diagnostics = new Diagnostics()
    const needed = Math.max(target.minOpset, requiredOpset(plan))
    if (plan.tensors.length > 0 && model.opset() < needed) {
      diagnostics.error('EXPORT_OPSET', `the plan needs opset ${needed}, and the model has ${model.opset()}`, {
        fix: `convert the model to opset ${needed} first`,
      })
    }
    for (const group of new Set(plan.tensors.map((t) => t.group))) {
      if (!params.has(group)) {
        diagnostics.error('EXPORT_PARAMS', `"${group}" has no scale`, { at: { value: group }, fix: 'calibrate first' })
      }
    }
    return diagnostics.list
  },
  emit({ name, model, plan, params }) {
    return [{ kind: 'model', name: `${name}.onnx`, model: materialize(model, plan, params) }]
  },
}
