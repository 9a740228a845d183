import type { AlgorithmOutcome, ChannelMoments, FloatAlgorithm } from '@fewbit/core/algorithms'
import type { Engine, Feeds } from '@fewbit/core/engine'
import { cloneModel, type Model } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapesPass, runPasses } from '@fewbit/core/passes'
import { findTarget } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'
import { memoryData } from './memory-data.ts'

/** What a rewrite of the float network made of a model, which itself stays as it was. */
export interface Rewritten {
  readonly model: Model
  readonly outcome: AlgorithmOutcome
  readonly norms: ReadonlyMap<string, ChannelMoments>
}

/**
 * Applies an algorithm of the float stage with types inferred, and nothing else of a run around it.
 * @param given.feeds calibration samples; without them the algorithm has no data.
 */
export async function applyRewrite<O extends object>(
  algorithm: FloatAlgorithm<O>,
  original: Model,
  engine: Engine,
  options: O,
  given: { readonly feeds?: readonly Feeds[]; readonly norms?: ReadonlyMap<string, ChannelMoments> } = {},
): Promise<Rewritten> {
  const model = cloneModel(original)
  const passes = { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => {} }
  await runPasses(model, [inferShapesPass], passes)
  const norms = new Map(given.norms)
  const shared = { model, norms, passes, engine, ops: defaultOps, seed: 1, progress: () => {} }
  const data = given.feeds && { dataset: memoryData(given.feeds), samples: given.feeds.length, batchSize: 1 }
  const target = findTarget('academic')
  const outcome = await algorithm.apply({ ...shared, target, ...(data ? { data } : {}) }, options)
  return { model, outcome, norms }
}
