import { ErrorAccumulator } from '../analysis/index.ts'
import { type Batch, batches, type Dataset, dropPadding, type Feeds, modelInputs } from '../engine/index.ts'
import { type Model, serializeModel } from '../ir/index.ts'
import type { Run } from './run.ts'

/** Some batches with what the float network makes of them, held in memory for a search. */
export type ReferenceOutputs = readonly { readonly batch: Batch; readonly outputs: Feeds }[]

/** Samples that a candidate is judged by: enough to rank candidates, few enough to try many. */
export const SEARCH_SAMPLES = 16

export async function referenceOutputs(cx: {
  float: Model
  data: Dataset
  run: Run
  settings: { batchSize: number }
}): Promise<ReferenceOutputs> {
  const { float, data, run, settings } = cx
  const session = await run.engine.load(serializeModel(float))
  try {
    const kept: { batch: Batch; outputs: Feeds }[] = []
    const options = { batchSize: settings.batchSize, limit: SEARCH_SAMPLES, ...run.signal }
    for await (const batch of batches(data, modelInputs(float), options)) {
      kept.push({ batch, outputs: dropPadding(await session.run(batch.feeds), batch) })
    }
    return kept
  } finally {
    await session.release()
  }
}

/** SQNR in dB over all outputs of a candidate. */
export async function outputError(model: Model, reference: ReferenceOutputs, run: Run): Promise<number> {
  const session = await run.engine.load(serializeModel(model))
  try {
    const error = new ErrorAccumulator()
    for (const { batch, outputs } of reference) {
      run.options.signal?.throwIfAborted()
      const candidate = dropPadding(await session.run(batch.feeds), batch)
      for (const [name, tensor] of Object.entries(outputs)) {
        const other = candidate[name]
        if (other && tensor.dtype !== 'string') error.add(tensor.numbers(), other.numbers())
      }
    }
    return error.result().sqnr
  } finally {
    await session.release()
  }
}
