import type { Model } from '../ir/index.ts'
import { checkStage, type PassName } from '../passes/index.ts'
import {
  type Formats,
  type Override,
  type PlannerOptions,
  planQuantization,
  type QuantPlan,
  requiredOpset,
  type Target,
} from '../quant/index.ts'
import { findTarget } from '../targets/index.ts'
import { FewbitError } from '../util/index.ts'
import { executionFor } from './execution.ts'
import type { QuantizeSettings } from './options.ts'
import { withObserverOptions } from './parameters.ts'
import { prepare } from './prepare.ts'
import type { Run } from './run.ts'

export const targetOf = ({ target }: QuantizeSettings, { registries }: Run): Target =>
  findTarget(target, registries.targets)

interface Preparing {
  /** What the network must be able to say beside the settings' own. */
  readonly schemes?: readonly string[]
  /** Passes that are left out. */
  readonly without?: readonly PassName[]
  readonly formats?: Formats
}

/**
 * The float network at an opset that can say what the plan wants: 4 and 16 bits came later than 8.
 */
export async function prepareAndPlan(
  model: Model,
  settings: QuantizeSettings,
  run: Run,
  { schemes = [], without = [], formats = {} }: Preparing = {},
) {
  const target = targetOf(settings, run)
  const float = await run.stage('prepare', () => prepare(model, target, run, undefined, settings.scheme, without))
  const plan = await run.stage('plan', () => makePlan(float, settings, run, { formats }))
  checkFloat(float, run)
  const plans = [plan, ...schemes.map((scheme) => makePlan(float, settings, run, { scheme }))]
  const needed = Math.max(...plans.map((each) => opsetFor(each, target, run)))
  if (plan.tensors.length === 0 || float.opset() >= needed) return { float, plan }
  const raised = await run.stage('prepare', () => prepare(model, target, run, needed, settings.scheme, without))
  return { float: raised, plan: await run.stage('plan', () => makePlan(raised, settings, run, { formats })) }
}

/** The plan of a network that algorithms have rewritten. */
export const replanned = (float: Model, settings: QuantizeSettings, run: Run) => ({
  float,
  plan: makePlan(float, settings, run),
})

/** Enough for the backend's file, or at least for the form that is run here where the engine does not know later opsets. */
function opsetFor(plan: QuantPlan, target: Target, run: Run): number {
  const forFile = Math.max(requiredOpset(plan, 'qdq'), target.minOpset)
  const { form } = executionFor(target)
  return forFile <= run.engine.capabilities.maxOpset ? forFile : requiredOpset(plan, form)
}

/** @throws FewbitError SPEC_TRAINING for a network that would train. */
function checkFloat(float: Model, run: Run): void {
  const found = checkStage(float, 'float', run.ops)
  if (found.length > 0) throw new FewbitError(found)
}

/** The planner with what the settings say, and what a search tries beside it. */
export function makePlan(float: Model, settings: QuantizeSettings, run: Run, options: PlannerOptions = {}): QuantPlan {
  const { scheme, perTensor, activations, weightObserver, floatOps, smallLayers, dispatch, tails, edgeBits } = settings
  const overrides = settings.overrides as readonly Override[]
  const observer = settings.observer === 'auto' ? 'mse' : settings.observer
  const plan = planQuantization(float, targetOf(settings, run), run.ops, {
    scheme,
    perTensor,
    ...(activations ? { activations } : {}),
    ...(dispatch ? { dispatch } : {}),
    ...(tails ? { tails } : {}),
    ...(edgeBits ? { edgeBits } : {}),
    weightObserver,
    observer,
    overrides,
    floatOps,
    smallLayers,
    ...options,
    floatNodes: [...settings.floatNodes, ...(options.floatNodes ?? [])],
  })
  return withObserverOptions(plan, settings.observer, settings.observerOptions)
}
