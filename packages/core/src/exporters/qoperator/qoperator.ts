import { materialize } from '../../quant/index.ts'
import { checkQdq } from '../check-onnx.ts'
import type { Exporter } from '../define.ts'
import { fuseKernels } from './fuse-kernels.ts'

/** ONNX with integer operators in the place of float ones, the form that runtimes without a QDQ optimizer run. */
export const qoperator: Exporter = {
  name: 'qoperator',
  summary: 'ONNX with integer operators: QLinearConv, QLinearMatMul and those of com.microsoft',
  check: checkQdq,
  emit({ name, model, plan, params }) {
    const quantized = materialize(model, plan, params)
    fuseKernels(quantized)
    return [{ kind: 'model', name: `${name}.onnx`, model: quantized }]
  },
}
