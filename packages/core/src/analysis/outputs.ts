import type { Engine, Feeds, LoadOptions, Session } from '../engine/index.ts'
import { type Batch, type BatchOptions, batches, type Dataset, dropPadding, modelInputs } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'

export interface RunOptions extends BatchOptions {
  readonly engine: Engine
  readonly data: Dataset
  readonly load?: LoadOptions
  readonly onProgress?: (done: number, total: number | undefined) => void
}

/** One batch with what the model made of it. */
export interface BatchOutputs {
  readonly batch: Batch
  readonly outputs: Feeds
  /** Of the run alone, without reading data. */
  readonly seconds: number
}

/** Runs a model over data, batch by batch. The session is released when the loop ends, however it ends. */
export async function* runOver(model: Model, options: RunOptions): AsyncGenerator<BatchOutputs> {
  const session = await options.engine.load(model, options.load)
  try {
    yield* runSession(session, model, options)
  } finally {
    await session.release()
  }
}

async function* runSession(session: Session, model: Model, options: RunOptions): AsyncGenerator<BatchOutputs> {
  const total = Math.min(options.data.length ?? Number.POSITIVE_INFINITY, options.limit ?? Number.POSITIVE_INFINITY)
  let done = 0
  for await (const batch of batches(options.data, modelInputs(model), options)) {
    const start = performance.now()
    const outputs = await session.run(batch.feeds)
    const seconds = (performance.now() - start) / 1000
    yield { batch, outputs: dropPadding(outputs, batch), seconds }
    done += batch.samples.length
    options.onProgress?.(done, Number.isFinite(total) ? total : undefined)
  }
}
