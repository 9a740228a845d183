import { type Engine, evaluateModel } from '@fewbit/core/engine'
import { cloneModel, type Model } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapesPass, type Pass, type PassContext, runPasses } from '@fewbit/core/passes'
import { Diagnostics, rng } from '@fewbit/core/util'
import { FIXTURE_NAMES, fixture } from '../fixtures.ts'
import { randomCnn, STEP_NAMES } from '../models.ts'
import { outputError, randomFeeds, runModel } from '../run-model.ts'
import { type ContractCheck, demand } from './contract.ts'

/**
 * A rewrite may round each weight to float32 once more, a relative 2^-24 in sums of up to 36 products over six layers, of
 * which some cancel: 1e-4 of the peak is far above that and far below any wrong rewrite.
 */
const TOLERANCE = 1e-4

const RANDOM_NETWORKS = 16

/** Networks with every kind of removable, foldable and shared thing, in random order. */
function networks(): Model[] {
  const random = rng(17)
  const shuffled = Array.from({ length: RANDOM_NETWORKS }, (_, seed) => {
    const steps = Array.from({ length: 6 }, () => STEP_NAMES[random.int(STEP_NAMES.length)] as string)
    return randomCnn(seed, steps, seed % 3 === 0 ? [2] : [])
  })
  return [...FIXTURE_NAMES.map(fixture), ...shuffled]
}

/** What every pass promises that keeps the outputs, run alone after shape inference. */
export function passContract(pass: Pass, engine: Engine): ContractCheck[] {
  const cx: PassContext = {
    ops: defaultOps,
    diagnostics: new Diagnostics(),
    trace: () => undefined,
    evaluate: (model) => evaluateModel(engine, model),
  }
  return [
    {
      name: 'says truly whether it changed the model, leaves it sound, and comes to rest',
      run: () => isHonest(pass, cx),
    },
    { name: 'keeps the outputs', run: () => keepsOutputs(pass, cx, engine) },
  ]
}

async function isHonest(pass: Pass, cx: PassContext): Promise<void> {
  for (const model of networks()) {
    await runPasses(model, [inferShapesPass], cx)
    // `check` verifies the graph and compares structural hashes after each run.
    const { converged } = await runPasses(model, [pass], cx, { check: true })
    demand(converged, () => 'it still changes the model after ten rounds')
    const again = await runPasses(model, [pass], cx, { check: true })
    demand(!again.modified, () => 'it changes what it left before')
  }
}

async function keepsOutputs(pass: Pass, cx: PassContext, engine: Engine): Promise<void> {
  for (const [i, model] of networks().entries()) {
    const rewritten = cloneModel(model)
    const { modified } = await runPasses(rewritten, [inferShapesPass, pass], cx)
    if (!modified) continue
    const feeds = randomFeeds(model, i)
    const error = outputError(await runModel(engine, model, feeds), await runModel(engine, rewritten, feeds))
    demand(error < TOLERANCE, () => `network ${i} (of ${networks().length}): outputs differ by ${error} of their peak`)
  }
}
