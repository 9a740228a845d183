import { type StatsTable, statsDigest } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import type { QuantizeSettings } from './options.ts'
import type { Run } from './run.ts'
import type { Choice } from './search.ts'
import { CORE_VERSION } from './version.ts'

/** Everything that a run depended on. JSON; stored in the model's metadata under `fewbit.recipe`. */
export interface Recipe {
  readonly format: 'fewbit-recipe'
  readonly version: 1
  readonly settings: Omit<QuantizeSettings, 'overrides'> & { readonly overrides: readonly unknown[] }
  /** What was chosen by measuring, so that a replay need not search. */
  readonly choice: Omit<Choice, 'trials'>
  readonly data: Readonly<Record<string, unknown>>
  /** SHA-256 of the statistics that the parameters were computed from. */
  readonly calibrationDigest: string
  readonly versions: { readonly fewbit: string; readonly engine: string }
}

export function recipeOf(
  settings: QuantizeSettings,
  choice: Choice,
  data: Dataset,
  stats: StatsTable,
  run: Run,
): Recipe {
  return {
    format: 'fewbit-recipe',
    version: 1,
    settings: { ...settings, overrides: settings.overrides.map(plainOverride) },
    choice: { observer: choice.observer, observers: choice.observers, floatNodes: choice.floatNodes },
    data: data.toJSON(),
    calibrationDigest: statsDigest(stats),
    versions: { fewbit: CORE_VERSION, engine: `${run.engine.name} ${run.engine.version}` },
  }
}

/** Patterns in the `/source/flags` form that the command line takes. */
function plainOverride(override: QuantizeSettings['overrides'][number]): unknown {
  const { name } = override.match
  return name instanceof RegExp ? { ...override, match: { ...override.match, name: String(name) } } : override
}

/** Writes the recipe into the model's metadata. */
export function stampModel(model: Model, recipe: Recipe): void {
  model.metadata.set('fewbit.recipe', JSON.stringify(recipe))
  model.producerName = 'fewbit'
  model.producerVersion = recipe.versions.fewbit
}
