import { materialize } from '../quant/index.ts'
import { checkQdq } from './check-onnx.ts'
import type { Exporter } from './define.ts'

/** ONNX with QuantizeLinear and DequantizeLinear, which runtimes fuse into integer kernels. */
export const qdq: Exporter = {
  name: 'qdq',
  summary: 'ONNX with QuantizeLinear and DequantizeLinear nodes',
  check: checkQdq,
  emit({ name, model, plan, params, target }) {
    const holdFloat = target.engine === 'onnxruntime'
    return [{ kind: 'model', name: `${name}.onnx`, model: materialize(model, plan, params, { holdFloat }) }]
  },
}
