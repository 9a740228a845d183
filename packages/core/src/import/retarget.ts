import { type Model, valuesByName } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import {
  measuredTensors,
  type ParamsTable,
  type PlannerOptions,
  planQuantization,
  type QuantParams,
  type QuantPlan,
  type QuantSpec,
  type Range,
  resolveParams,
  type Target,
} from '../quant/index.ts'
import { type Diagnostic, Diagnostics, must, problem } from '../util/index.ts'
import { type ImportedModel, isQuantized } from './import-quantized.ts'
import { KnownRanges } from './known-ranges.ts'

export interface Retargeted {
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * A plan for another backend, with parameters from the ranges that the quantized file covers instead of measured ones. Weights whose
 * spec stays the same keep their parameters, and so their codes.
 * @param imported its model may have been prepared since: values go by name.
 * @throws FewbitError RETARGET_RANGE naming tensors that the new plan quantizes and the file gives no range for; RETARGET_KEPT if
 * the import had to leave quantizers in the network; what `planQuantization` throws.
 */
export function retarget(
  { model, plan: old, params: oldParams }: Pick<ImportedModel, 'model' | 'plan' | 'params'>,
  target: Target,
  ops: OpRegistry,
  options: PlannerOptions = {},
): Retargeted {
  if (isQuantized(model, ops)) throw kept(model)
  const planned = planQuantization(model, target, ops, options)
  const activations = rangesFor(model, planned, new KnownRanges(old, oldParams, ops), target)
  const diagnostics = new Diagnostics()
  const weights = keptWeights(planned, old, oldParams)
  const params = resolveParams(model, planned, { activations, weights }, diagnostics)
  return { plan: withoutMeasuring(planned), params, diagnostics: [...planned.diagnostics, ...diagnostics.list] }
}

function rangesFor(model: Model, plan: QuantPlan, known: KnownRanges, target: Target): Map<string, Range> {
  const values = valuesByName(model.graph)
  const found = new Map<string, Range>()
  const missing: string[] = []
  for (const { value } of measuredTensors(plan)) {
    const range = known.of(must(values.get(value), `value "${value}"`))
    if (range) found.set(value, range)
    else missing.push(value)
  }
  if (missing.length > 0) throw noRange(missing, target)
  return found
}

function noRange(missing: readonly string[], { title }: Target) {
  const shown = missing
    .slice(0, 10)
    .map((name) => `"${name}"`)
    .join(', ')
  const more = missing.length > 10 ? ` and ${missing.length - 10} more` : ''
  return problem('RETARGET_RANGE', `${title} quantizes ${shown}${more}, and the file says nothing of their ranges`, {
    at: { value: missing[0] as string },
    fix: 'calibrate: run fewbit quantize on the float model with data, or keep the nodes around them in float by an override',
    data: { values: missing },
  })
}

function kept({ graph }: Model) {
  const types = new Set(
    [...graph.nodes].filter((n) => /Quantize|QLinear|Integer|^QGemm$/.test(n.opType)).map((n) => n.qualifiedType),
  )
  return problem(
    'RETARGET_KEPT',
    `the network still has ${[...types].join(', ')}, which plan and parameters could not hold`,
    {
      fix: 'quantize the float model that this one was made from',
    },
  )
}

/** Parameters of weights that the new plan wants on the grid that they are on already, by the new plan's groups. */
function keptWeights(plan: QuantPlan, old: QuantPlan, oldParams: ParamsTable): Map<string, QuantParams> {
  const byValue = new Map(old.tensors.filter((t) => t.role === 'weight').map((t) => [t.value, t]))
  return new Map(
    plan.tensors.flatMap(({ role, value, group, spec }) => {
      const before = byValue.get(value)
      const params =
        role === 'weight' && before && sameGrid(before.spec, spec) ? oldParams.get(before.group) : undefined
      return params ? [[group, { ...params, spec }] as const] : []
    }),
  )
}

/** True if every code of the one is a code of the other, and stands for the same value. */
function sameGrid(before: QuantSpec, { quantMin, quantMax, ...wanted }: QuantSpec): boolean {
  const { quantMin: lo, quantMax: hi, ...rest } = before
  const facts = (spec: object) => JSON.stringify(Object.entries(spec).sort(([a], [b]) => (a < b ? -1 : 1)))
  return lo >= quantMin && hi <= quantMax && facts(rest) === facts(wanted)
}

/** Nothing was measured: what an observer would have found comes from the file. */
function withoutMeasuring(plan: QuantPlan): QuantPlan {
  const tensors = plan.tensors.map((t) =>
    t.source.kind === 'calibrate' ? { ...t, source: { kind: 'imported' as const } } : t,
  )
  return { ...plan, tensors }
}
