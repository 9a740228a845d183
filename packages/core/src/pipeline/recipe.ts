import { z } from 'zod'
import { type StatsTable, statsDigest } from '../calibration/index.ts'
import type { Dataset, InputStats } from '../engine/index.ts'
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
  /** What the inputs looked like, to compare other data with. */
  readonly inputs: readonly InputStats[]
  /** SHA-256 of the statistics that the parameters were computed from. */
  readonly calibrationDigest: string
  readonly versions: { readonly fewbit: string; readonly engine: string }
}

export function recipeOf(
  settings: QuantizeSettings,
  choice: Choice,
  data: Dataset,
  inputs: readonly InputStats[],
  stats: StatsTable,
  run: Run,
): Recipe {
  return {
    format: 'fewbit-recipe',
    version: 1,
    settings: { ...settings, overrides: settings.overrides.map(plainOverride) },
    choice: { observer: choice.observer, observers: choice.observers, floatNodes: choice.floatNodes },
    data: data.toJSON(),
    inputs,
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

const recorded = z.object({
  inputs: z.array(z.object({ input: z.string(), mean: z.number(), std: z.number(), min: z.number(), max: z.number() })),
})

/** What the inputs looked like when the model was quantized, if it was by fewbit and says so. */
export function recordedInputs(model: Model): readonly InputStats[] | undefined {
  const text = model.metadata.get('fewbit.recipe')
  if (text === undefined) return undefined
  try {
    return recorded.parse(JSON.parse(text)).inputs
  } catch {
    // Metadata are anybody's to write; without a record there is nothing to compare with.
    return undefined
  }
}
