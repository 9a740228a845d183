import { cloneModel, type Model } from '../ir/index.ts'
import { checkStage } from '../passes/index.ts'
import { materialize } from '../quant/index.ts'
import { formatDiagnostic, invariant } from '../util/index.ts'
import type { Execution } from './execution.ts'
import type { Candidate } from './judge.ts'
import { type Recipe, type RecipeFacts, recipeOf, stampModel } from './recipe.ts'
import type { Run } from './run.ts'

/** Writes the quantized network, with the recipe of the run in its metadata. */
export async function finish(
  adjusted: Candidate & { readonly model: Model },
  facts: RecipeFacts,
  execution: Execution,
  run: Run,
): Promise<{ readonly model: Model; readonly recipe: Recipe }> {
  const model = await run.stage('write', () => writeQuantized(adjusted.model, adjusted, execution, run))
  const recipe = recipeOf(facts, run)
  stampModel(model, recipe)
  return { model, recipe }
}

/** The quantized network of a plan, checked. */
export function writeQuantized(float: Model, { plan, params }: Candidate, { form }: Execution, run: Run): Model {
  const model = materialize(cloneModel(float), plan, params, { form })
  const found = checkStage(model, 'qdq', run.ops)
  invariant(found.length === 0, () => `the quantized network is not sound: ${found.map(formatDiagnostic).join('; ')}`)
  return model
}
