import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asTensor } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { planModel } from '@fewbit/core/pipeline'
import { planQuantization, type QuantPlan, type Target } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'

const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url))
const FOLDER = join(DATA, 'models')
const NETWORKS = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.onnx')) : []
const MOST_SECONDS = 2

/** Operators on floats that a backend without float kernels would have to run, and that no diagnostic names. */
function unexplained(plan: QuantPlan, isFloat: (node: string) => boolean): string[] {
  const told = plan.diagnostics.filter((d) => d.code === 'PLAN_UNSUPPORTED').map((d) => d.message)
  const left = plan.nodes.filter((n) => n.decision === 'float' && n.reason.code === 'NO_KERNEL' && isFloat(n.node))
  return left.map((n) => n.opType).filter((type) => !told.some((message) => message.includes(` ${type}:`)))
}

describe.skipIf(NETWORKS.length === 0)('every target plans every published network', () => {
  it.each(NETWORKS)('%s', async (name) => {
    const { float } = await planModel(await loadModel(join(FOLDER, name)), { engine: nodeEngine() })
    const nodes = new Map([...float.graph.nodes].map((node) => [node.name, node]))
    const isFloat = (node: string) =>
      nodes.get(node)?.outputs.some((v) => v && asTensor(v.type)?.dtype === 'float32') ?? false
    for (const target of Object.values<Target>(TARGETS)) {
      const start = performance.now()
      const plan = planQuantization(float, target, defaultOps)
      expect((performance.now() - start) / 1000, target.name).toBeLessThan(MOST_SECONDS)
      expect(plan.tensors.length, target.name).toBeGreaterThan(0)
      if (target.fallback === 'none') expect(unexplained(plan, isFloat), target.name).toEqual([])
    }
  })
})
