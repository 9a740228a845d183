import { z } from 'zod'
import { type StatsTable, statsDigest } from '../calibration/index.ts'
import type { InputStats } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import { structuralHash } from '../passes/index.ts'
import { problem } from '../util/index.ts'
import type { QuantizeSettings } from './options.ts'
import type { Run } from './run.ts'
import type { Choice } from './search.ts'
import { CORE_VERSION } from './version.ts'

const text = z.string()
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits')
const inputStats = z.object({ input: text, mean: z.number(), std: z.number(), min: z.number(), max: z.number() })

/** Settings are checked in full when they are replayed, because plugins add names that are good only where they are loaded. */
export const recipeSchema = z.strictObject({
  format: z.literal('fewbit-recipe'),
  version: z.literal(2),
  /** The float model: names, structure and weights. */
  modelDigest: sha256,
  settings: z.looseObject({ target: text, scheme: text, samples: z.int().positive(), seed: z.int().nonnegative() }),
  /** What was chosen by measuring, so that a replay need not search. */
  choice: z.strictObject({ observer: text, observers: z.record(text, text), floatNodes: z.array(text) }),
  /** Samples per run: the engine's sums may differ in the last bit between batch sizes. */
  batchSize: z.int().positive(),
  /** Kind, name, number of samples and preprocessing of the calibration data. */
  data: z.record(text, z.unknown()),
  /** The tensors that calibration read. */
  dataDigest: sha256,
  /** What the inputs looked like, to compare other data with. */
  inputs: z.array(inputStats),
  /** The statistics that the parameters were computed from. */
  calibrationDigest: sha256,
  extensions: z.array(text),
  /** The network was trained with fake-quantizers: the recipe says how it began, and the digest what it was when it was converted. */
  qat: z
    .strictObject({
      batchNorm: text,
      fakeQuantizer: z.record(text, z.unknown()).optional(),
      weightQuantizer: z.record(text, z.unknown()).optional(),
      networkDigest: sha256,
    })
    .optional(),
  versions: z.strictObject({ fewbit: text, engine: text }),
})

/** Everything that a run depended on. JSON; stored in the model's metadata under `fewbit.recipe`. Digests are SHA-256. */
export type Recipe = z.infer<typeof recipeSchema>

const KEY = 'fewbit.recipe'

export interface RecipeFacts {
  readonly model: Model
  readonly settings: QuantizeSettings
  readonly choice: Choice
  readonly batchSize: number
  readonly data: Readonly<Record<string, unknown>>
  readonly dataDigest: string
  readonly inputs: readonly InputStats[]
  readonly stats: StatsTable
}

export function recipeOf(facts: RecipeFacts, run: Run): Recipe {
  const { model, settings, choice, batchSize, data, dataDigest, inputs, stats } = facts
  return recipeSchema.parse({
    format: 'fewbit-recipe',
    version: 2,
    modelDigest: structuralHash(model),
    settings: plainSettings(settings),
    choice: { observer: choice.observer, observers: choice.observers, floatNodes: choice.floatNodes },
    batchSize,
    data,
    dataDigest,
    inputs,
    calibrationDigest: statsDigest(stats),
    extensions: (run.options.extensions ?? []).map((plugin) => plugin.name),
    versions: versionsOf(run),
  })
}

export const versionsOf = (run: Run): Recipe['versions'] => ({
  fewbit: CORE_VERSION,
  engine: `${run.engine.name} ${run.engine.version}`,
})

/** Patterns as objects, because a node's name may look like `/source/flags`. What was only scored changes nothing. */
export function plainSettings({ metrics: _, ...settings }: QuantizeSettings): Recipe['settings'] {
  const overrides = settings.overrides.map((override) => {
    const { name } = override.match
    if (!(name instanceof RegExp)) return override
    return { ...override, match: { ...override.match, name: { pattern: name.source, flags: name.flags } } }
  })
  return { ...settings, overrides }
}

const patternSchema = z.looseObject({
  match: z.looseObject({ name: z.strictObject({ pattern: text, flags: text }) }),
})

/** The settings as they are given to `quantize`: patterns are regular expressions again. */
export function liveSettings({ settings }: Pick<Recipe, 'settings'>): Record<string, unknown> {
  const overrides = z.array(z.unknown()).catch([]).parse(settings.overrides)
  return { ...settings, overrides: overrides.map(livePattern) }
}

function livePattern(override: unknown): unknown {
  const parsed = patternSchema.safeParse(override)
  if (!parsed.success) return override
  const { pattern, flags } = parsed.data.match.name
  try {
    return { ...parsed.data, match: { ...parsed.data.match, name: new RegExp(pattern, flags) } }
  } catch (cause) {
    throw problem('RECIPE_FORMAT', `the recipe's pattern /${pattern}/${flags} is not a regular expression`, {}, cause)
  }
}

/**
 * Reads a recipe.
 * @throws FewbitError RECIPE_FORMAT for anything that fewbit did not write; RECIPE_VERSION for a recipe of another version.
 */
export function parseRecipe(json: string, file?: string): Recipe {
  const at = file === undefined ? {} : { at: { file } }
  const value = readJson(json)
  const head = z.looseObject({ format: z.literal('fewbit-recipe'), version: z.number() }).safeParse(value)
  if (head.success && head.data.version !== 2) throw otherVersion(head.data.version, at)
  const parsed = recipeSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const notes = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'recipe'}: ${issue.message}`)
  const fix = 'name the recipe.json of an export, or a model that fewbit quantized'
  throw problem('RECIPE_FORMAT', 'this is not a recipe', { ...at, notes: head.success ? notes : [], fix })
}

const otherVersion = (version: number, at: object) =>
  problem('RECIPE_VERSION', `the recipe is of version ${version}, and this fewbit reads version 2`, {
    ...at,
    fix: version > 2 ? 'use a newer fewbit' : 'quantize once more with data: older recipes lack what a replay needs',
  })

function readJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/**
 * The recipe in a model's metadata.
 * @throws FewbitError RECIPE_MISSING, and what `parseRecipe` throws.
 */
export function recipeOfModel(model: Model, file?: string): Recipe {
  const found = model.metadata.get(KEY)
  if (found !== undefined) return parseRecipe(found, file)
  throw problem('RECIPE_MISSING', 'the model holds no recipe', {
    ...(file === undefined ? {} : { at: { file } }),
    fix: 'only models that fewbit quantized have one',
  })
}

/** Writes the recipe into the model's metadata. */
export function stampModel(model: Model, recipe: Recipe): void {
  model.metadata.set(KEY, recipeJson(recipe))
  model.producerName = 'fewbit'
  model.producerVersion = recipe.versions.fewbit
}

/** One text for one recipe: keys in alphabetical order. */
export const recipeJson = (recipe: Recipe, indent?: number): string => JSON.stringify(sorted(recipe), undefined, indent)

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]))
}

const recorded = z.object({ inputs: z.array(inputStats) })

/** What the inputs looked like when the model was quantized, if it was by fewbit and says so. */
export function recordedInputs(model: Model): readonly InputStats[] | undefined {
  const found = recorded.safeParse(readJson(model.metadata.get(KEY) ?? ''))
  // Metadata are anybody's to write; without a record there is nothing to compare with.
  return found.success ? found.data.inputs : undefined
}

const anyRecord = z.record(text, z.unknown())

/** The recipe in a model's metadata as it stands there, whatever version wrote it. */
export const recordedRecipe = (model: Model): Record<string, unknown> | undefined =>
  anyRecord.safeParse(readJson(model.metadata.get(KEY) ?? '')).data
