import { batches, batchMode, type Dataset, type Engine, type Feeds, modelInputs } from '@fewbit/core/engine'
import { type Model, serializeModel } from '@fewbit/core/ir'

export interface TimingOptions {
  readonly rounds: number
  /** Seconds of measuring in one round of one model. */
  readonly budget: number
}

const WARM_UP = 5
const LEAST_RUNS = 5

/**
 * Seconds per run of several models on the same feeds, in turn: A B C, A B C, … One session is alive at a time, because idle
 * thread pools of other sessions spin and slow the measured one down. Of each model the smallest median of the rounds counts:
 * a busy machine only ever adds time.
 */
export async function timeInTurn(
  models: readonly Model[],
  feeds: Feeds,
  engine: Engine,
  { rounds, budget }: TimingOptions,
): Promise<number[]> {
  const files = models.map(serializeModel)
  const best = files.map(() => Number.POSITIVE_INFINITY)
  for (let round = 0; round < rounds; round++) {
    for (const [i, file] of files.entries()) {
      best[i] = Math.min(best[i] as number, await medianRun(engine, file, feeds, budget))
    }
  }
  return best
}

async function medianRun(engine: Engine, file: Uint8Array, feeds: Feeds, budget: number): Promise<number> {
  const session = await engine.load(file)
  for (let i = 0; i < WARM_UP; i++) await session.run(feeds)
  const times: number[] = []
  const stop = performance.now() + budget * 1000
  while (performance.now() < stop || times.length < LEAST_RUNS) {
    const start = performance.now()
    await session.run(feeds)
    times.push((performance.now() - start) / 1000)
  }
  await session.release()
  return times.sort((a, b) => a - b)[times.length >> 1] as number
}

/** One run's feeds of so many samples, or undefined where the model's batch axis does not allow it. */
export async function feedsOf(model: Model, data: Dataset, batchSize: number): Promise<Feeds | undefined> {
  const inputs = modelInputs(model)
  for await (const batch of batches(data, inputs, { batchSize, limit: batchSize })) {
    if (batchSize > 1 && (batchMode(inputs, batch.samples[0]).kind !== 'open' || batch.rows < batchSize))
      return undefined
    return batch.feeds
  }
  return undefined
}
