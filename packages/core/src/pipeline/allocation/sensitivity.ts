import { type OutputMetrics, partOfPlan, quantLayers } from '../../analysis/index.ts'
import type { Dataset } from '../../engine/index.ts'
import { cloneModel, type Model } from '../../ir/index.ts'
import { materialize, type Override, type ParamsTable, type PlannerOptions, type QuantPlan } from '../../quant/index.ts'
import { Diagnostics, invariant } from '../../util/index.ts'
import { chooseParams, type StatsSource } from '../parameters.ts'
import type { Calibrated } from '../produce.ts'
import type { ProgressCallback, Run } from '../run.ts'
import { hessianErrors } from './hessian.ts'
import { layerErrors } from './layer-errors.ts'
import type { LayerGroup } from './layers.ts'
import { noiseOf, outputErrors } from './output-errors.ts'

/**
 * What a sensitivity is: mean KL divergence of class scores, output noise ÷ signal, noise ÷ signal of the layer's own result, or output
 * noise ÷ signal as the curvature by the weights says.
 */
export const SENSITIVITIES = ['kl', 'sqnr', 'layer', 'hessian'] as const
export type SensitivityName = (typeof SENSITIVITIES)[number]

/** Error of the network with one group in one choice and all else in float, measured or estimated; of `layer`, of the group's own results. */
export interface Sensitivity {
  /** In dB. */
  readonly sqnr: number
  /** In nats; absent where outputs are no class scores. */
  readonly kl?: number
}

/** Everything that plans of mixed precision are tried on. */
export interface Bench {
  readonly ready: Calibrated
  readonly stats: StatsSource
  readonly data: Dataset
  readonly samples: number
  readonly run: Run
}

export interface TriedPlan {
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

/** The network with groups in schemes of their own; exceptions of the user win. */
export function mixedPlan(bench: Bench, schemes: ReadonlyMap<LayerGroup, string>): TriedPlan {
  const own = [...schemes].flatMap(([group, scheme]) => overridesOf(group, scheme))
  return planned(bench, { overrides: [...own, ...(bench.ready.settings.overrides as readonly Override[])] })
}

export const overridesOf = ({ layers, followers }: LayerGroup, scheme: string): Override[] =>
  [...layers.map(({ node }) => node), ...followers].map((name) => ({ match: { name }, scheme }))

function planned({ ready, stats, run }: Bench, options: PlannerOptions): TriedPlan {
  const plan = ready.plan(options)
  return { plan, params: chooseParams(ready.float, plan, stats, new Diagnostics(), run.registries.observers) }
}

/** The whole network in one scheme. */
export const uniformPlan = (bench: Bench, scheme: string): TriedPlan => planned(bench, { scheme })

/** A plan with one group quantized, and everything else in float. */
function isolatedPlan({ ready, run }: Bench, group: LayerGroup, { plan, params }: TriedPlan): TriedPlan {
  const names = new Set([...group.layers.map(({ node }) => node), ...group.followers])
  const own = quantLayers(ready.float, plan, run.ops).filter(({ node }) => names.has(node))
  const [first] = own
  invariant(first, () => `${[...names].join(', ')} is not quantized`)
  const nodes = new Set(own.flatMap((layer) => [...layer.nodes]))
  const makes = new Set(own.flatMap((layer) => [...layer.makes]))
  return { plan: partOfPlan(plan, 'all', { ...first, nodes, makes }), params }
}

/** Output errors of plans against the float network. */
export async function errorsOf(
  bench: Bench,
  plans: readonly (() => TriedPlan)[],
  onProgress: ProgressCallback,
): Promise<OutputMetrics[]> {
  const { float, execution } = bench.ready
  const variants = plans.map((make) => (): Model => {
    const { plan, params } = make()
    return materialize(cloneModel(float), plan, params, { form: execution.form })
  })
  return await outputErrors(bench, variants, onProgress)
}

/**
 * Sensitivity of every group in every choice.
 * @returns by group and choice; `float` costs nothing.
 */
export async function sensitivities(
  bench: Bench,
  groups: readonly LayerGroup[],
  choices: readonly string[],
  name: SensitivityName | 'auto',
  onProgress: ProgressCallback,
): Promise<Sensitivity[][]> {
  const quantizing = choices.filter((choice) => choice !== 'float').map((choice) => uniformPlan(bench, choice))
  const tried = groups.flatMap((group) => quantizing.map((plan) => ({ group, plan })))
  const plans = tried.map(
    ({ group, plan }) =>
      () =>
        isolatedPlan(bench, group, plan),
  )
  const estimates = { layer: layerErrors, hessian: hessianErrors }
  const errors =
    name === 'layer' || name === 'hessian'
      ? await estimates[name](bench, tried, onProgress)
      : await errorsOf(bench, plans, onProgress)
  const rest = [...errors]
  return groups.map(() => choices.map((choice) => (choice === 'float' ? EXACT : (rest.shift() as Sensitivity))))
}

const EXACT: Sensitivity = { sqnr: Number.POSITIVE_INFINITY, kl: 0 }

/** The figures that are added up: noise powers and divergences of small independent errors add. */
export function additive({ sqnr, kl }: Sensitivity, name: SensitivityName): number {
  return name === 'kl' ? Math.max(0, kl ?? Number.NaN) : noiseOf(sqnr)
}
