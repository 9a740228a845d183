import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asTensor, type Model } from '@fewbit/core/ir'
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
const engine = nodeEngine()

/** Operators on floats that a backend without float kernels would have to run, and that no diagnostic names. */
function unexplained(plan: QuantPlan, model: Model): string[] {
  const told = plan.diagnostics.filter((d) => d.code === 'PLAN_UNSUPPORTED').map((d) => d.message)
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const isFloat = (name: string) => nodes.get(name)?.outputs.some((v) => v && asTensor(v.type)?.dtype === 'float32')
  const left = plan.nodes.filter((n) => n.decision === 'float' && n.reason.code === 'NO_KERNEL' && isFloat(n.node))
  return left.map((n) => n.opType).filter((type) => !told.some((message) => message.includes(` ${type}:`)))
}

describe.skipIf(NETWORKS.length === 0)('every target plans every published network', () => {
  it.each(NETWORKS)('%s', async (name) => {
    const model = await loadModel(join(FOLDER, name))
    const prepared = new Map<string, Model>()
    for (const target of Object.values<Target>(TARGETS)) {
      const form = (target.rewrites ?? []).join()
      const float = prepared.get(form) ?? (await planModel(model, { engine, target: target.name })).float
      prepared.set(form, float)
      const start = performance.now()
      const plan = planQuantization(float, target, defaultOps)
      expect((performance.now() - start) / 1000, target.name).toBeLessThan(MOST_SECONDS)
      const codes = plan.diagnostics.map((d) => d.code)
      expect(plan.tensors.length > 0 || codes.includes('PLAN_NOTHING'), target.name).toBe(true)
      if (target.fallback === 'none') expect(unexplained(plan, float), target.name).toEqual([])
    }
  })

  it.each(['cifar_resnet20', 'imagenet_squeezenet11', 'kws_honk_res8', 'vww_mobilenetv1_025_96'])(
    'TensorFlow Lite and QNN run all of %s',
    async (name) => {
      for (const target of ['tflite', 'qnn', 'snpe']) {
        const { plan } = await planModel(await loadModel(join(FOLDER, `${name}.onnx`)), { engine, target })
        expect(plan.nodes.filter((n) => n.decision === 'float' || n.decision === 'quantized')).toEqual([])
      }
    },
  )
})
