import type { Artifact, ExportContext, Exporter } from '../exporters/index.ts'
import { isQuantized } from '../import/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { structuralHash } from '../passes/index.ts'
import { hasUneven, type ParamsTable, type QuantPlan, type Target } from '../quant/index.ts'
import { findTarget } from '../targets/index.ts'
import { type Diagnostic, digest, FewbitError, problem } from '../util/index.ts'
import { type Registries, registriesWith } from './plugin.ts'
import { type Recipe, stampModel } from './recipe.ts'
import type { RunOptions } from './run.ts'

/** A quantized network before it takes a form, such as a `QuantizeResult`. */
export interface Exportable {
  /** The prepared float network that plan and parameters speak of. It is not changed. */
  readonly float: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  /** Goes into the metadata of models. */
  readonly recipe?: Recipe
}

export interface ExportOptions extends Pick<RunOptions, 'ops' | 'extensions'> {
  /** Base name of the artefacts; default `model`. */
  readonly name?: string
  readonly exporters?: readonly string[]
  /** Where no exporters are named: the target's first, or all that can hold the plan (default). The first must be possible. */
  readonly forms?: 'first' | 'all'
}

export interface Export {
  readonly artifacts: readonly Artifact[]
  /** Those that wrote something. */
  readonly exporters: readonly string[]
  /** What exporters had to say short of an error, and EXPORT_SKIPPED for forms that cannot hold this plan. */
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Writes a quantized network in the forms that its backend reads. Nothing is emitted if an exporter that was asked for refuses.
 * @throws FewbitError EXPORT_* naming tensors; EXPORTER_UNKNOWN, TARGET_UNKNOWN.
 */
export function exportArtifacts(source: Exportable, options: ExportOptions = {}): Export {
  const registries = registriesWith(options.extensions, options.ops)
  const target = findTarget(source.plan.target, registries.targets)
  const { name = 'model' } = options
  const { plan, params } = source
  const context = (base: string): ExportContext => {
    return { name: base, model: cloneModel(source.float), plan, params, target, ops: registries.ops }
  }
  const forms = formsOf(target, plan)
  const own = options.forms === 'first' ? forms.slice(0, 1) : forms
  const wanted = (options.exporters ?? own).map((exporter) => exporterNamed(exporter, registries))
  const required = options.exporters ? wanted.length : 1
  const { ready, diagnostics } = checkAll(wanted, required, context(name))
  const artifacts: Artifact[] = []
  for (const exporter of ready) {
    const emitted = exporter.emit(context(name))
    const other = (a: Artifact) => artifacts.find((known) => known.name === a.name)
    const isTaken = emitted.some((a) => !isSame(a, other(a) ?? a))
    const named = isTaken ? exporter.emit(context(`${name}.${exporter.name}`)) : emitted
    artifacts.push(...named.filter((a) => !other(a)))
  }
  // A float network beside a table is what anybody may start from.
  for (const artifact of artifacts) {
    if (artifact.kind !== 'model' || !source.recipe || !isQuantized(artifact.model, registries.ops)) continue
    stampModel(artifact.model, source.recipe)
  }
  return { artifacts, exporters: ready.map((e) => e.name), diagnostics }
}

/** The target's own; where the plan has formats that pairs of quantizers do not say and nothing runs anyway, a simulation in the place of the pairs. */
const formsOf = ({ formats, exporters }: Target, plan: QuantPlan): readonly string[] =>
  formats === 'any' && hasUneven(plan) ? exporters.map((name) => (name === 'qdq' ? 'simulate' : name)) : exporters

/** Several forms come with the same float network beside them. */
function isSame(a: Artifact, b: Artifact): boolean {
  if (a === b) return true
  if (a.kind === 'model') return b.kind === 'model' && structuralHash(a.model) === structuralHash(b.model)
  return b.kind === 'file' && digest(a.bytes) === digest(b.bytes)
}

/** @param required so many of the first must be possible. */
function checkAll(exporters: readonly Exporter[], required: number, cx: ExportContext) {
  const ready: Exporter[] = []
  const diagnostics: Diagnostic[] = []
  for (const [i, exporter] of exporters.entries()) {
    const found = exporter.check(cx)
    const errors = found.filter((d) => d.level === 'error')
    if (errors.length === 0) ready.push(exporter)
    diagnostics.push(...(errors.length > 0 && i >= required ? [skipped(exporter, errors)] : found))
  }
  if (diagnostics.some((d) => d.level === 'error')) throw new FewbitError(diagnostics)
  return { ready, diagnostics }
}

const skipped = ({ name, summary }: Exporter, errors: readonly Diagnostic[]): Diagnostic => ({
  code: 'EXPORT_SKIPPED',
  level: 'info',
  message: `left out "${name}" (${summary}), which cannot hold this plan`,
  notes: errors.slice(0, 3).map((d) => d.message),
  fix: `ask for it by name to see all that stands in the way: --exporter ${name}`,
})

/** @throws FewbitError EXPORTER_UNKNOWN naming the known ones. */
export function exporterNamed(name: string, { exporters }: Registries): Exporter {
  const found = Object.hasOwn(exporters, name) ? exporters[name] : undefined
  if (found) return found
  throw problem('EXPORTER_UNKNOWN', `"${name}" is not an exporter`, {
    at: { option: 'exporter' },
    fix: `choose one of ${Object.keys(exporters).join(', ')}`,
  })
}
