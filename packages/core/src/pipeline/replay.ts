import type { StatsTable } from '../calibration/index.ts'
import type { Model } from '../ir/index.ts'
import { structuralHash } from '../passes/index.ts'
import { measuredTensors, type PlannerOptions, type QuantPlan, type Target } from '../quant/index.ts'
import { Diagnostics, type FewbitError, problem } from '../util/index.ts'
import { withMacs } from './macs.ts'
import { chooseParams, statsFor } from './parameters.ts'
import { liveSettings, type Recipe, versionsOf } from './recipe.ts'
import type { Run } from './run.ts'
import type { Choice, SearchResult } from './search.ts'

/** What may be said anew beside a recipe: the same run for another backend. */
const RETARGETING = ['target', 'scheme']

/**
 * The recipe's settings, with another target or scheme where one is given.
 * @throws FewbitError RECIPE_OPTION for any other option, because the recipe has decided it.
 */
export function replayedSettings(recipe: Recipe, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const stated = Object.entries(given).filter(([, value]) => value !== undefined)
  const other = stated.find(([name]) => !RETARGETING.includes(name))
  if (other) throw decided(other[0])
  return { ...liveSettings(recipe), ...Object.fromEntries(stated) }
}

export const decided = (option: string): FewbitError =>
  problem('RECIPE_OPTION', `"${option}" is what the recipe says, and cannot be given beside it`, {
    at: { option },
    fix: 'leave it out, or quantize without the recipe',
  })

/**
 * Warns where a recipe was made with another model or by other versions, so that the bytes will differ.
 * @throws FewbitError RECIPE_TRAINED for the recipe of a network that was trained since.
 */
export function checkOrigin(recipe: Recipe, model: Model, run: Run): void {
  if (recipe.qat) {
    throw problem('RECIPE_TRAINED', 'the network of this recipe was trained, which a recipe cannot repeat', {
      fix: 'convert the network with fake-quantizers that it was made from, or quantize anew without the recipe',
    })
  }
  if (recipe.modelDigest !== structuralHash(model)) {
    run.diagnostics.warn('RECIPE_MODEL', 'the recipe was made with another model', {
      fix: 'what it says of single nodes and tensors holds for those of the same names only',
    })
  }
  const now = versionsOf(run)
  const other = (['fewbit', 'engine'] as const).filter((name) => now[name] !== recipe.versions[name])
  if (other.length === 0) return
  run.diagnostics.warn(
    'RECIPE_VERSIONS',
    'the recipe was made by other versions: the result may differ in some bytes',
    {
      notes: other.map((name) => `${name}: then ${recipe.versions[name]}, now ${now[name]}`),
    },
  )
}

/** @throws FewbitError RECIPE_DATA unless the data are those of the recipe or others are allowed. */
export function checkData(recipe: Recipe, digest: string, allowOther: boolean, run: Run): void {
  if (digest === recipe.dataDigest) return
  const message = 'the calibration data are not those of the recipe'
  const notes = [
    `then ${JSON.stringify(recipe.data)}`,
    `digest then ${recipe.dataDigest.slice(0, 16)}…, now ${digest.slice(0, 16)}…`,
  ]
  if (allowOther) {
    run.diagnostics.warn('RECIPE_DATA', `${message}: ranges will differ`, { notes })
    return
  }
  throw problem('RECIPE_DATA', message, {
    notes,
    fix: 'give the same data with the same preprocessing, or allow others with --allow-other-data (allowOtherData in code)',
  })
}

/** The recorded choice for a target. A backend that runs integers only leaves no node in float for accuracy. */
export function recordedChoice({ choice }: Recipe, { fallback }: Target): Choice {
  return { ...choice, floatNodes: fallback === 'none' ? [] : choice.floatNodes, trials: [] }
}

/**
 * Plan and parameters of a choice that was made before. Nothing is tried.
 * @throws FewbitError RECIPE_CHOICE if, on another backend, the choice makes nodes quantize what was not measured.
 */
export function candidateOf(
  choice: Choice,
  cx: {
    readonly float: Model
    readonly first: QuantPlan
    readonly stats: StatsTable
    readonly macs: ReadonlyMap<string, number>
    readonly plan: (options: PlannerOptions) => QuantPlan
    readonly run: Run
  },
): SearchResult {
  const { observer, observers, floatNodes } = choice
  const plan = withMacs(cx.plan({ observer, observers, floatNodes }), cx.macs)
  const stats = statsFor(cx.first, cx.stats)
  const missing = measuredTensors(plan).filter((tensor) => stats.get(tensor.value) === undefined)
  if (missing.length > 0) throw unmeasured(missing.map((tensor) => tensor.value))
  const params = chooseParams(cx.float, plan, stats, new Diagnostics(), cx.run.registries.observers)
  return { plan, params, choice }
}

const unmeasured = (values: readonly string[]): FewbitError =>
  problem(
    'RECIPE_CHOICE',
    'what the recipe keeps in float makes this backend quantize tensors that were not measured',
    {
      at: { value: values[0] as string },
      notes: values.slice(0, 10),
      fix: 'quantize for this backend without the recipe',
      data: { values },
    },
  )
