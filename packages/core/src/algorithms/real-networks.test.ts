import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { readModel } from '../ir/index.ts'
import { optimize } from '../pipeline/index.ts'
import { activationEqualization } from './activation-equalization.ts'
import type { FloatAlgorithm } from './algorithm.ts'
import { channelSplit } from './channel-split.ts'
import { cle } from './cle.ts'
import { ALGORITHMS } from './registry.ts'
import { checkedOptions } from './request.ts'
import { scaleFolding } from './scale-folding.ts'
import { smoothquant } from './smoothquant.ts'
import { weightSplit } from './weight-split.ts'

const data = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const folder = join(data, 'models')
const engine = nodeEngine()

/** Depthwise chains, a transformer with BatchNormalization, factors behind normalization. */
const NETWORKS = ['vww_mobilenetv1_025_96', 'cifar_vit_ibp_3_3_8', 'kws_honk_res8']
const REWRITES = [cle, activationEqualization, smoothquant, weightSplit, channelSplit, scaleFolding] as FloatAlgorithm[]

describe.skipIf(!existsSync(folder))('rewrites keep what published networks compute (needs FEWBIT_DATA)', () => {
  it.each(NETWORKS)('%s', async (name) => {
    const { model } = await optimize(readModel(readFileSync(join(folder, `${name}.onnx`))), { engine })
    const feeds = randomFeeds(model, 3)
    const before = await runModel(engine, model, feeds)
    let changed = 0
    for (const algorithm of REWRITES) {
      const options = checkedOptions(ALGORITHMS[algorithm.name as keyof typeof ALGORITHMS])
      const rewritten = await applyRewrite(algorithm, model, engine, options, { feeds: [feeds] })
      changed += rewritten.outcome.changed.length
      // What a run allows before it takes a rewrite back.
      const error = outputError(before, await runModel(engine, rewritten.model, feeds))
      expect(error, algorithm.name).toBeLessThan(algorithm.preserves as number)
    }
    expect(changed).toBeGreaterThan(20)
  })
})
