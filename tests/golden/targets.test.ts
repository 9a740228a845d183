import { evaluateModel } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapesPass, quantizePreparePasses, runPasses } from '@fewbit/core/passes'
import { planQuantization, planToText, type Target } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { type FixtureName, fixture } from '@fewbit/testkit'
import { beforeAll, expect, it } from 'vitest'

/** A residual connection, clips and a gate on a depthwise layer, branches that join, and what makes feature maps larger. */
const NETWORKS: readonly FixtureName[] = ['residual', 'squeeze-excite', 'branches', 'upsampling']
const networks = new Map<FixtureName, Model>()

beforeAll(async () => {
  const engine = nodeEngine({ threads: 1 })
  for (const name of NETWORKS) {
    const model = fixture(name)
    const evaluate = (constants: Model) => evaluateModel(engine, constants)
    const cx = { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => undefined, evaluate }
    await runPasses(model, [inferShapesPass, ...quantizePreparePasses, inferShapesPass], cx)
    networks.set(name, model)
  }
})

/** Plans of every target as reviewed text; `npx vitest run tests/golden/targets.test.ts -u` rewrites them. */
it.each(Object.entries<Target>(TARGETS))('%s', async (name, target) => {
  const plans = [...networks].map(
    ([network, model]) => `${network}\n${planToText(planQuantization(model, target, defaultOps))}`,
  )
  await expect(plans.join('\n')).toMatchFileSnapshot(`./targets/${name}.txt`)
})
