import { type Model, removeUnusedInitializers, valuesByName } from '../ir/index.ts'
import { FewbitError, must, problem } from '../util/index.ts'
import { codeType, hasUneven, type QuantForm, qdqObstacles, requiredOpset } from './form.ts'
import { holdFloatLayers } from './hold-float.ts'
import type { ParamsTable, QuantPlan } from './plan.ts'
import { QuantWriter } from './quant-writer.ts'

export interface MaterializeOptions {
  /** Default `qdq`. */
  readonly form?: QuantForm
  /** Keeps ONNX Runtime from quantizing layers that the plan leaves in float. Default: in the form `qdq`. */
  readonly holdFloat?: boolean
  /** Of stochastic rounding. Default 1. */
  readonly seed?: number
}

const SIMULATED = 'fewbit.simulated'

/** Whether the file computes numbers of which it stores no codes: what stands in it says too little of how it was quantized. */
export const isSimulated = (model: Model): boolean => model.metadata.has(SIMULATED)

/**
 * Writes a plan into the graph, in place: constants become integers behind DequantizeLinear, activations pass through a pair of
 * QuantizeLinear and DequantizeLinear that the planned readers read. Names of graph inputs and outputs stay.
 * @param params for every group of the plan, as `resolveParams` returns them.
 * @throws FewbitError MATERIALIZE_OPSET if the model's opset cannot express the plan, MATERIALIZE_FORM if QuantizeLinear cannot.
 */
export function materialize(
  model: Model,
  plan: QuantPlan,
  params: ParamsTable,
  { form = 'qdq', holdFloat = form === 'qdq', seed = 1 }: MaterializeOptions = {},
): Model {
  demandForm(model, plan, params, form)
  const writer = new QuantWriter(model.graph, seed)
  const values = valuesByName(model.graph)
  for (const tensor of plan.tensors) {
    const value = must(values.get(tensor.value), `value "${tensor.value}"`)
    const readers = new Set(tensor.readers)
    const uses = value.uses().filter((use) => readers.has(use.node.name))
    const site = { tensor, params: must(params.get(tensor.group), `parameters of "${tensor.group}"`), value, uses }
    const dtype = codeType(tensor, site.params, form, model.opset())
    if (tensor.role === 'activation') dtype ? writer.pair(site, dtype) : writer.nodes(site)
    else dtype ? writer.codes(site, dtype) : writer.rounded(site)
  }
  if (holdFloat) holdFloatLayers(model)
  removeUnusedInitializers(model)
  if (form === 'simulate' && hasUneven(plan)) model.metadata.set(SIMULATED, 'levels')
  return model
}

function demandForm(model: Model, plan: QuantPlan, params: ParamsTable, form: QuantForm): void {
  const needed = requiredOpset(plan, form)
  if (plan.tensors.length > 0 && model.opset() < needed) {
    throw problem('MATERIALIZE_OPSET', `the plan needs opset ${needed}, and the model has ${model.opset()}`, {
      fix: `convert the model to opset ${needed} first`,
    })
  }
  const obstacles = form === 'qdq' ? qdqObstacles(plan, params) : []
  if (obstacles.length > 0) throw new FewbitError(obstacles)
}
