import { z } from 'zod'
import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { digest } from '../../util/index.ts'
import { recipeSchema, versionsOf } from '../recipe.ts'
import type { Run } from '../run.ts'

const trialSchema = z.strictObject({
  rung: z.string(),
  /** What distinguishes it; no two trials of a ladder have the same. */
  what: z.string(),
  /** On the evaluation data, in the metric's unit; absent where the trial failed. */
  score: z.number().optional(),
  /** How much worse than float; negative where better. */
  drop: z.number().optional(),
  /** Better than everything before it, and what later trials build on. */
  kept: z.boolean(),
  /** Share of multiply-accumulates in integers, 0 to 1, where known. */
  integerShare: z.number().optional(),
  seconds: z.number(),
  /** Why it could not be made. */
  failure: z.string().optional(),
  recipe: recipeSchema.optional(),
})

/** One quantized network that was made and scored. JSON. */
export type LadderTrial = z.infer<typeof trialSchema>

const stateSchema = z.strictObject({
  format: z.literal('fewbit-ladder'),
  version: z.literal(1),
  /** Of all that scores depend on. */
  key: z.string(),
  metric: z.string(),
  float: z.number(),
  trials: z.array(trialSchema),
})

/** What a ladder has measured so far. JSON. */
export type LadderState = z.infer<typeof stateSchema>

/** Where a ladder keeps its state between runs. */
export interface LadderMemory {
  load(): Promise<unknown>
  save(state: LadderState): Promise<void>
}

/** Digest of the model, the settings, the data's description and the versions. */
export function ladderKey(model: Model, settings: object, data: readonly object[], run: Run): string {
  const facts = [structuralHash(model), settings, data, versionsOf(run)]
  return digest(JSON.stringify(facts))
}

/** The state of an earlier run of the same ladder, if there is one; anything else counts as none. */
export async function earlierState(
  memory: LadderMemory | undefined,
  { key, metric, float }: Pick<LadderState, 'key' | 'metric' | 'float'>,
): Promise<LadderState> {
  const parsed = stateSchema.safeParse(await memory?.load())
  const known = parsed.success ? parsed.data : undefined
  const isSame = known?.key === key && known.metric === metric && known.float === float
  return isSame ? known : { format: 'fewbit-ladder', version: 1, key, metric, float, trials: [] }
}
