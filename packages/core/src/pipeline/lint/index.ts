import { isQuantized } from '../../import/index.ts'
import type { Model } from '../../ir/index.ts'
import type { TraceEvent } from '../../passes/index.ts'
import { type Override, type ParamsTable, type PlanSummary, type QuantPlan, summarizePlan } from '../../quant/index.ts'
import { findTarget, knownTarget } from '../../targets/index.ts'
import { type Diagnostic, FewbitError } from '../../util/index.ts'
import { replan } from '../export-model.ts'
import { importModel } from '../import-model.ts'
import { planModel } from '../quantize.ts'
import { Run, type RunOptions } from '../run.ts'
import { type Finding, fromDiagnostic, merged } from './finding.ts'
import { refusals } from './forms.ts'
import { missedFusions } from './fusions.ts'
import { declinedRewrites, floatNodes, raisedOpset } from './nodes.ts'
import { spreadWeights } from './weights.ts'

export type { Finding, FindingPlace } from './finding.ts'

export interface LintOptions extends RunOptions {
  /** Default the backend that the model was quantized for, else `onnxruntime`. */
  readonly target?: string
  /** Default the target's. */
  readonly scheme?: string
  readonly overrides?: readonly Override[]
}

/** What a backend makes of a network. JSON. */
export interface Lint {
  readonly target: string
  readonly scheme: string
  /** False if the backend's form cannot be written, or nothing would be quantized. */
  readonly holds: boolean
  readonly plan: PlanSummary
  /** Errors first. */
  readonly findings: readonly Finding[]
}

/**
 * What a backend will not quantize, fuse or accept, where, why, and what helps. Needs no data. A quantized model is planned anew from the
 * ranges that it holds.
 * @throws FewbitError TARGET_UNKNOWN, SCHEME_*; what planning throws.
 */
export async function lint(model: Model, options: LintOptions): Promise<Lint> {
  const run = new Run(options)
  const planned = isQuantized(model, run.ops)
    ? await fromQuantized(model, options, run)
    : await fromFloat(model, options)
  const { float, plan } = planned
  const target = findTarget(plan.target, run.registries.targets)
  const findings = merged([
    ...planned.found,
    ...refusals(float, plan, planned.params, target, run.registries),
    ...plan.diagnostics.filter((d) => !COVERED.has(d.code)).map(fromDiagnostic),
    ...floatNodes(plan, float, target),
    ...declinedRewrites(planned.trace, plan),
    ...missedFusions(float.graph, plan, target),
    ...spreadWeights(float, plan, run.ops),
    ...raisedOpset(model, float, target),
  ])
  const holds = plan.tensors.length > 0 && !findings.some((f) => f.level === 'error')
  return { target: target.name, scheme: plan.scheme, holds, plan: summarizePlan(plan), findings }
}

/** Said node by node as well. */
const COVERED: ReadonlySet<string> = new Set(['PLAN_TAIL', 'PLAN_UNSUPPORTED'])

interface Planned {
  readonly float: Model
  readonly plan: QuantPlan
  readonly params?: ParamsTable
  readonly trace: readonly TraceEvent[]
  readonly found: readonly Finding[]
}

async function fromFloat(model: Model, options: LintOptions): Promise<Planned> {
  const { float, plan, trace } = await planModel(model, options)
  return { float, plan, trace, found: [] }
}

/** Where the file has no range for what the backend quantizes, the network is judged without its parameters. */
async function fromQuantized(model: Model, options: LintOptions, run: Run): Promise<Planned> {
  const imported = importModel(model, run)
  const target = findTarget(options.target ?? ownTarget(imported.plan, run) ?? 'onnxruntime', run.registries.targets)
  const said = imported.diagnostics.map(fromDiagnostic)
  try {
    const { float, plan, params } = await replan(model, imported, target, options, run)
    return { float, plan, params, trace: run.trace, found: said }
  } catch (error) {
    if (!(error instanceof FewbitError) || error.code !== 'RETARGET_RANGE') throw error
    const planned = await fromFloat(imported.model, { ...options, target: target.name })
    return { ...planned, found: [...said, ...error.diagnostics.map(asWarning)] }
  }
}

const ownTarget = ({ target }: QuantPlan, { registries }: Run): string | undefined =>
  knownTarget(target, registries.targets)?.name

/** Data can supply what the file does not say. */
const asWarning = (d: Diagnostic): Finding => fromDiagnostic({ ...d, level: 'warning' })
