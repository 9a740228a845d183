import { argmax, ErrorAccumulator, runOver } from '@fewbit/core/analysis'
import { type Dataset, type Engine, type Feeds, outputsOf, type Sample } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { evaluate } from '@fewbit/core/pipeline'

export type Scores = Record<string, number>

/** Calls back for each sample with the model's outputs. */
export async function eachOutput(
  model: Model,
  data: Dataset,
  engine: Engine,
  visit: (sample: Sample, outputs: Feeds, index: number) => void,
): Promise<void> {
  let index = 0
  for await (const { batch, outputs } of runOver(model, { engine, data, batchSize: 32 })) {
    for (const [i, sample] of batch.samples.entries()) visit(sample, outputsOf(outputs, batch, i), index++)
  }
}

/** Class accuracy, with SQNR and agreement where a reference is given. */
export async function classify(
  model: Model,
  data: Dataset,
  engine: Engine,
  against?: Model,
  top5 = false,
): Promise<Scores> {
  const metrics = [top5 ? ['top1', 'top5'] : ['top1'], against ? ['sqnr', 'agreement'] : []].flat()
  const result = await evaluate(model, { engine, data, metrics, ...(against ? { against } : {}) })
  return { ...result.metrics }
}

/** SQNR over all outputs. */
export async function fidelity(model: Model, data: Dataset, engine: Engine, against?: Model): Promise<Scores> {
  if (!against) return {}
  const result = await evaluate(model, { engine, data, metrics: ['sqnr'], against })
  return { ...result.metrics }
}

/** Names of the scores that lie below their floor. */
export function missedScores(floor: Scores, scores: Scores): string[] {
  return Object.keys(floor).filter((name) => !((scores[name] ?? Number.NaN) >= (floor[name] as number)))
}

export { argmax, ErrorAccumulator }
