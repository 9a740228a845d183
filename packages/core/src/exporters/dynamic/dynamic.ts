import { removeUnusedInitializers, safeRemove } from '../../ir/index.ts'
import { materialize, type TensorPlan } from '../../quant/index.ts'
import { checkQdq } from '../check-onnx.ts'
import type { ExportContext, Exporter } from '../define.ts'
import { FORMS, quantizeWhileRunning } from './integer-products.ts'

/**
 * ONNX with integer weights whose activations are quantized while the model runs, from the minimum and maximum of each tensor:
 * DynamicQuantizeLinear and ConvInteger or MatMulInteger. Needs no calibration, and computes biases and everything else in float.
 */
export const dynamic: Exporter = {
  name: 'dynamic',
  summary:
    'ONNX with ConvInteger and MatMulInteger: activations are quantized while the model runs, without calibration',
  check: (cx) => checkQdq(weightsOnly(cx)),
  emit(cx) {
    const { plan, params } = weightsOnly(cx)
    const model = materialize(cx.model, plan, params)
    for (const node of [...model.graph.nodes]) quantizeWhileRunning(node, model)
    for (const node of [...model.graph.nodes]) if (node.opType === 'DequantizeLinear') safeRemove(node)
    removeUnusedInitializers(model)
    return [{ kind: 'model', name: `${cx.name}.onnx`, model }]
  },
}

/** What the plan says of weights that are multiplied by data: ranges of activations come from the data, biases stay in float. */
function weightsOnly(cx: ExportContext): ExportContext {
  const types = new Map([...cx.model.graph.nodes].map((node) => [node.name, node.qualifiedType]))
  const isFactor = ({ role, readers }: TensorPlan): boolean =>
    role === 'weight' && readers.every((reader) => Object.hasOwn(FORMS, types.get(reader) ?? ''))
  return { ...cx, plan: { ...cx.plan, nodes: [], tensors: cx.plan.tensors.filter(isFactor) } }
}
