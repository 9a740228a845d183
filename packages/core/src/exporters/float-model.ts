import { Tensor, valuesByName } from '../ir/index.ts'
import { fakeQuantize, type QuantParams } from '../quant/index.ts'
import type { Artifact, ExportContext } from './define.ts'
import { planned } from './encodings.ts'

/** The float network that a table speaks about: its tensors and nodes carry the names in the table. */
export const floatModel = ({ name, model }: ExportContext): Artifact => ({
  kind: 'model',
  name: `${name}.float.onnx`,
  model,
})

/**
 * The same with weights on their grids, under a name of its own, for backends that derive scales of weights from the weights: where the outermost codes are
 * in use they arrive at the scales of the plan, and at its codes however they round. MQBench's exporters clip the weights, which
 * does not suffice for affine grids, whose ends move when the zero point is rounded.
 */
export function snappedModel(cx: ExportContext): Artifact {
  const values = valuesByName(cx.model.graph)
  for (const { tensor, params } of planned(cx, 'weight')) {
    const value = values.get(tensor.value)
    const isShared = value?.consumers().some((node) => !tensor.readers.includes(node.name))
    if (value?.constant && !isShared) value.constant = snapped(value.constant, params)
  }
  return { ...floatModel(cx), name: `${cx.name}.snapped.onnx` }
}

/** Constants on their grid. */
export const snapped = (data: Tensor, params: QuantParams): Tensor =>
  Tensor.fromNumbers(data.dtype, data.dims, fakeQuantize(data.numbers(), params, [...data.dims]))
