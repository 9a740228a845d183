import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeEngine } from '@fewbit/engine-node'
import { outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { cloneModel, readModel } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { Diagnostics } from '../../util/index.ts'
import { runPasses } from '../runner.ts'
import { convertOpset } from './index.ts'

const data = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../../shared/data', import.meta.url))
const folder = join(data, 'models')
const engine = nodeEngine()

/** Networks of several exporters, opset 8 to 17, with a size for what is dynamic in their inputs. */
const MODELS = [
  'mnist_cnn',
  'cifar_resnet20',
  'cifar_vit_ibp_3_3_8',
  'vww_mobilenetv1_025_96',
  'imagenet_squeezenet11',
  'coco_fastestdet',
  'sr_rfdn_x4',
  'kws_honk_res8',
  'llm_stories260k',
] as const

describe.skipIf(!existsSync(folder))('published networks compute the same at a later opset', () => {
  for (const name of MODELS) {
    for (const target of [13, 17, 21]) {
      it(`${name} → ${target}`, async () => {
        const model = readModel(readFileSync(join(folder, `${name}.onnx`)))
        const later = cloneModel(model)
        const cx = { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => {} }
        await runPasses(later, [convertOpset(target)], cx, { check: true })
        const sizes = name === 'sr_rfdn_x4' ? Object.fromEntries(openDims(model).map((d) => [d, 16])) : {}
        const feeds = randomFeeds(model, 1, sizes)
        const error = outputError(await runModel(engine, model, feeds), await runModel(engine, later, feeds))
        // The same kernels in the same order; only flattened Softmax may sum in another order.
        expect(error).toBeLessThan(1e-6)
      })
    }
  }
})

const openDims = (model: ReturnType<typeof readModel>): string[] =>
  model.graph.inputs
    .flatMap((v) => (v.type?.kind === 'tensor' ? (v.type.shape ?? []) : []))
    .filter((d) => typeof d === 'string')
