import type { QuantizedNetwork } from '@fewbit/core/analysis'
import { collectStats, requestsForPlan } from '@fewbit/core/calibration'
import { type Dataset, type Engine, evaluateModel } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { OBSERVERS } from '@fewbit/core/observers'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapesPass, quantizePreparePasses, runPasses } from '@fewbit/core/passes'
import { planQuantization, resolveParams } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'

/** A network prepared in place and planned for a target, with the ranges that it has on the data: the pipeline without its choices. */
export async function quantizedNetwork(
  model: Model,
  engine: Engine,
  data: Dataset,
  target: keyof typeof TARGETS = 'onnxruntime',
): Promise<QuantizedNetwork> {
  const diagnostics = new Diagnostics()
  const evaluate = (part: Model) => evaluateModel(engine, part)
  const cx = { ops: defaultOps, diagnostics, trace: () => {}, evaluate }
  await runPasses(model, [inferShapesPass, ...quantizePreparePasses, inferShapesPass], cx)
  const plan = planQuantization(model, TARGETS[target], defaultOps, { observer: 'minmax' })
  const stats = await collectStats(model, engine, data, requestsForPlan(plan, OBSERVERS))
  const activations = new Map([...stats].map(([name, { min, max }]) => [name, { lo: min, hi: max }]))
  const params = resolveParams(model, plan, { activations, weights: new Map() }, diagnostics)
  return { float: model, adjusted: model, plan, params, form: target === 'onnxruntime' ? 'qdq' : 'simulate' }
}
