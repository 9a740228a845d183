import { batches, type Dataset, type Engine, type Feeds, modelInputs, type Session } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'

/** Seconds per run of one sample, both models measured in turn with one session alive at a time. */
export interface Latency {
  readonly float: number
  readonly quantized: number
  /** quantized ÷ float: below 1 is faster. */
  readonly ratio: number
}

const ROUNDS = 3
const WARM_UP = 3
/** Seconds of measuring in one round of one model. */
const BUDGET = 0.25
/** Runs in one round after which the median of a small network stands, whatever is left of the budget. */
const ENOUGH = 1000

/**
 * Latency of both models on the first sample. Sessions are never alive together, because idle thread pools spin and slow the
 * other one down; the smallest median of the rounds counts, because a busy machine only ever adds time.
 */
export async function measureLatency(
  float: Model,
  quantized: Model,
  data: Dataset,
  { engine, signal }: { engine: Engine; signal?: AbortSignal },
): Promise<Latency> {
  const feeds = await firstBatch(float, data)
  const models = [float, quantized]
  const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, model] of models.entries()) {
      signal?.throwIfAborted()
      const session = await engine.load(model)
      try {
        best[i] = Math.min(best[i] as number, await medianRun(session, feeds))
      } finally {
        await session.release()
      }
    }
  }
  const [f, q] = best as [number, number]
  return { float: f, quantized: q, ratio: q / f }
}

async function firstBatch(model: Model, data: Dataset): Promise<Feeds> {
  for await (const batch of batches(data, modelInputs(model), { limit: 1 })) return batch.feeds
  return {}
}

async function medianRun(session: Session, feeds: Feeds): Promise<number> {
  for (let i = 0; i < WARM_UP; i++) await session.run(feeds)
  const times: number[] = []
  const stop = performance.now() + BUDGET * 1000
  while (times.length < 5 || (performance.now() < stop && times.length < ENOUGH)) {
    const start = performance.now()
    await session.run(feeds)
    times.push((performance.now() - start) / 1000)
  }
  times.sort((a, b) => a - b)
  return times[times.length >> 1] as number
}
