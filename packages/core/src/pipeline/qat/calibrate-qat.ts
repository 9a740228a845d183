import { cloneModel, type Model, nameNodes, type Tensor, valuesByName } from '../../ir/index.ts'
import { GRADIENT_OPSET } from '../../ops/index.ts'
import { convertOpset, type PassName, runPasses } from '../../passes/index.ts'
import type { Formats, ParamsTable, QuantPlan } from '../../quant/index.ts'
import { problem } from '../../util/index.ts'
import { macsOnData, withMacs } from '../macs.ts'
import { prepareAndPlan, targetOf } from '../make-plan.ts'
import type { QuantizeSettings } from '../options.ts'
import { chooseParams, statsFor, warnOfThinStats } from '../parameters.ts'
import { calibrate, openData } from '../produce.ts'
import type { QuantizeOptions } from '../quantize.ts'
import { type Recipe, recipeOf } from '../recipe.ts'
import type { Run } from '../run.ts'

/** A prepared network with its plan. */
export interface PlannedNetwork {
  /** The network as it was given, at the opset of gradients. */
  readonly raised: Model
  readonly float: Model
  readonly plan: QuantPlan
}

/** A prepared network with its plan, and what observers say. */
export interface CalibratedNetwork extends PlannedNetwork {
  /** Parameters by group, with other contents in some weights. */
  paramsWith(weights: ReadonlyMap<string, Tensor>): ParamsTable
  readonly recipe: Recipe
}

export interface CalibrationRequest {
  readonly options: QuantizeOptions
  readonly settings: QuantizeSettings
  /** Passes that preparing leaves out. */
  readonly without: readonly PassName[]
  readonly formats: Formats
}

/** What `quantize` does before it reads data. @throws FewbitError QAT_NOTHING; what planning throws. */
export async function planQat(
  model: Model,
  { settings, without, formats }: CalibrationRequest,
  run: Run,
): Promise<PlannedNetwork> {
  const raised = await atGradientOpset(model, run)
  const { float, plan } = await prepareAndPlan(raised, settings, run, { without, formats })
  refuseEmpty(plan)
  return { raised, float, plan }
}

/** What `quantize` does before it searches: calibrate with the observers that the settings name. */
export async function calibrateQat(
  model: Model,
  { raised, float, plan: first }: PlannedNetwork,
  { options, settings }: CalibrationRequest,
  run: Run,
): Promise<CalibratedNetwork> {
  const target = targetOf(settings, run)
  const { data, inputs, batchSize } = await openData(model, float, options, settings, run)
  const stats = await run.stage('calibrate', (progress) =>
    calibrate({ float, first, target, data, batchSize, settings, run, progress }),
  )
  const plan = withMacs(first, await macsOnData(float, data, run))
  const source = statsFor(first, stats)
  warnOfThinStats(plan, source, run.registries.observers, run.diagnostics)
  const choice = { observer: settings.observer, observers: {}, floatNodes: [], trials: [] }
  const facts = { model, settings, choice, batchSize, data: data.toJSON(), inputs, dataDigest: data.digest(), stats }
  return {
    ...{ raised, float, plan, recipe: recipeOf(facts, run) },
    paramsWith: (weights) =>
      chooseParams(withConstants(float, weights), plan, source, run.diagnostics, run.registries.observers),
  }
}

/** Bodies of fake-quantizers are written in the opset of gradients, and an engine that inlines them takes them for the network's. */
async function atGradientOpset(model: Model, run: Run): Promise<Model> {
  if (model.opset() >= GRADIENT_OPSET) return model
  const copy = cloneModel(model)
  nameNodes(copy.graph)
  await runPasses(copy, [convertOpset(GRADIENT_OPSET)], run.passContext())
  return copy
}

function withConstants(model: Model, constants: ReadonlyMap<string, Tensor>): Model {
  const copy = cloneModel(model)
  const values = valuesByName(copy.graph)
  for (const [name, tensor] of constants) {
    const value = values.get(name)
    if (value) value.constant = tensor
  }
  return copy
}

function refuseEmpty({ tensors, scheme, target }: QuantPlan): void {
  if (tensors.length > 0) return
  throw problem('QAT_NOTHING', `nothing of this network is quantized for ${target} with ${scheme}`, {
    fix: 'choose a scheme such as w4a4, and leave fewer nodes in float',
  })
}
