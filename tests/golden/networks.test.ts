import { evaluateModel } from '@fewbit/core/engine'
import { type Model, printModel } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapesPass, optimizePasses, runPasses } from '@fewbit/core/passes'
import { planQuantization, planToText } from '@fewbit/core/quant'
import { onnxruntime } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { FIXTURE_NAMES, fixture } from '@fewbit/testkit'
import { expect, it } from 'vitest'

const engine = nodeEngine({ threads: 1 })

/**
 * What the optimizer leaves and what the planner decides, as reviewed text; `npx vitest run tests/golden -u` rewrites it.
 * Only single numbers and pairs are printed: folded ones are rounded by the engine's kernels, which differ between processors.
 */
it.each(FIXTURE_NAMES)('optimizes and plans %s as reviewed', async (name) => {
  const model = fixture(name)
  const evaluate = (constants: Model) => evaluateModel(engine, constants)
  const cx = { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => undefined, evaluate }
  await runPasses(model, [inferShapesPass, ...optimizePasses], cx, { check: true })
  const plan = planToText(planQuantization(model, onnxruntime, defaultOps))
  const graph = printModel(model, { inline: 2 }).replace(/ = sha256:[\da-f]+/g, '')
  await expect(`${graph}\n${plan}`).toMatchFileSnapshot(`./${name}.txt`)
})
