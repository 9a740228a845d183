import { type ImportedModel, retarget } from '../import/index.ts'
import type { Model } from '../ir/index.ts'
import {
  isSimulated,
  type Override,
  type PlannerOptions,
  type QuantPlan,
  requiredOpset,
  type Target,
} from '../quant/index.ts'
import { findTarget, knownTarget } from '../targets/index.ts'
import { type Diagnostic, FewbitError, problem } from '../util/index.ts'
import { type Export, type Exportable, type ExportOptions, exportArtifacts } from './export.ts'
import { importModel } from './import-model.ts'
import { prepare } from './prepare.ts'
import { liveSettings, type Recipe, recipeOfModel } from './recipe.ts'
import { Run, type RunOptions } from './run.ts'

export interface ExportModelOptions extends ExportOptions, RunOptions {
  /** Default the backend that the model was quantized for, if it says so. */
  readonly target?: string
  /** Default the new target's. */
  readonly scheme?: string
  readonly overrides?: readonly Override[]
}

export interface ExportedModel extends Export {
  readonly plan: QuantPlan
  /** The model's own, if it was made for the same backend; what was planned anew cannot be replayed from it. */
  readonly recipe?: Recipe
}

/**
 * Writes a quantized model, whoever quantized it, in the forms of a backend. For its own backend plan and parameters are those of the
 * file; for another one the network is planned anew with the ranges that the file covers. No data are needed.
 * @throws FewbitError EXPORT_SIMULATED, IMPORT_FLOAT, RETARGET_RANGE, TARGET_MISSING, and what `exportArtifacts` throws.
 */
export async function exportModel(model: Model, options: ExportModelOptions): Promise<ExportedModel> {
  const run = new Run(options)
  if (isSimulated(model)) throw simulated()
  const imported = importModel(model, run)
  const target = targetFor(imported, options.target, run)
  const recipe = recipeIn(model)
  const isOwn = target.name === imported.plan.target && options.scheme === undefined && !options.overrides?.length
  const source = isOwn
    ? ownForm(imported, target, recipe)
    : await run.stage('plan', () => replan(model, imported, target, options, run))
  const { artifacts, exporters, diagnostics } = exportArtifacts(source, options)
  const all = [...run.diagnostics.list, ...imported.diagnostics, ...source.diagnostics, ...diagnostics]
  return { artifacts, exporters, plan: source.plan, ...(isOwn && recipe ? { recipe } : {}), diagnostics: all }
}

const simulated = () =>
  problem(
    'EXPORT_SIMULATED',
    'the file computes levels by ordinary nodes, and stores no codes that another form could hold',
    {
      fix: 'any runtime runs it as it is; for another backend start from the float network, and train for that backend',
    },
  )

type Source = Exportable & { readonly diagnostics: readonly Diagnostic[] }

function targetFor({ plan }: ImportedModel, name: string | undefined, { registries }: Run): Target {
  if (name !== undefined) return findTarget(name, registries.targets)
  const known = knownTarget(plan.target, registries.targets)
  if (known) return known
  throw problem('TARGET_MISSING', 'the model does not say which backend it was quantized for', {
    at: { option: 'target' },
    fix: 'name the backend with --target',
  })
}

function ownForm({ model, plan, params }: ImportedModel, target: Target, recipe: Recipe | undefined): Source {
  const own = { ...plan, target: target.name }
  return { float: model, plan: own, params, diagnostics: [], ...(recipe ? { recipe } : {}) }
}

/**
 * A plan for another backend. The network is prepared as it would be before quantizing, and raised where the plan needs a later opset; what
 * the model's recipe says of single nodes stands unless the options say otherwise.
 * @throws FewbitError RETARGET_RANGE, RETARGET_KEPT
 */
export async function replan(
  file: Model,
  imported: ImportedModel,
  target: Target,
  options: Pick<ExportModelOptions, 'scheme' | 'overrides'>,
  run: Run,
): Promise<Source> {
  const { plan, params } = imported
  const planner = { ...kept(recipeIn(file), target), ...plannerOptions(options) }
  const at = async (opset?: number) => {
    const float = await prepare(imported.model, target, run, opset)
    return { float, ...retarget({ model: float, plan, params }, target, run.ops, planner) }
  }
  const first = await at(target.minOpset > imported.model.opset() ? target.minOpset : undefined)
  const needed = requiredOpset(first.plan)
  return first.float.opset() >= needed ? first : at(needed)
}

/** What the recipe says of single nodes holds for another backend as well. */
function kept(recipe: Recipe | undefined, { fallback }: Target): PlannerOptions {
  if (!recipe) return {}
  const settings = liveSettings(recipe) as Pick<PlannerOptions, 'overrides' | 'floatOps' | 'floatNodes'>
  const { overrides = [], floatOps = [], floatNodes = [] } = settings
  const chosen = fallback === 'none' ? [] : recipe.choice.floatNodes
  return { overrides, floatOps, floatNodes: [...floatNodes, ...chosen] }
}

const plannerOptions = ({ scheme, overrides }: Pick<ExportModelOptions, 'scheme' | 'overrides'>): PlannerOptions => ({
  ...(scheme ? { scheme } : {}),
  ...(overrides?.length ? { overrides } : {}),
})

/** Metadata are anybody's to write: without a recipe the graph says enough. */
function recipeIn(model: Model): Recipe | undefined {
  try {
    return recipeOfModel(model)
  } catch (error) {
    if (error instanceof FewbitError) return undefined
    throw error
  }
}
