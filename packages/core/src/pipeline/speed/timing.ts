import type { Engine, Feeds, LoadOptions } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'

/** Seconds of one run. JSON. */
export interface Timing {
  readonly median: number
  /** The fastest and the slowest tenth end here. */
  readonly low: number
  readonly high: number
  readonly runs: number
  /** To load the model: the least of the rounds. */
  readonly load: number
}

export interface TimingOptions {
  readonly rounds: number
  /** Seconds of measuring in one round of one model. */
  readonly budget: number
  readonly signal?: AbortSignal
}

interface Times {
  readonly runs: number[]
  load: number
}

const WARM_UP = 3
const LEAST_RUNS = 5

/**
 * Times models in turn on one engine, one session alive at a time, because idle thread pools spin and slow the other one down. Every round loads,
 * warms up and measures each model, so that a machine that changes its speed changes it for all.
 */
export async function timeInTurn(
  models: readonly { readonly model: Model; readonly load: LoadOptions }[],
  feeds: Feeds,
  engine: Engine,
  { rounds, budget, signal }: TimingOptions,
): Promise<Timing[]> {
  const times = models.map((): Times => ({ runs: [], load: Number.POSITIVE_INFINITY }))
  for (let round = 0; round < rounds; round++) {
    for (const [i, each] of models.entries()) {
      signal?.throwIfAborted()
      await timeOnce(each.model, each.load, feeds, engine, budget, times[i] as Times)
    }
  }
  return times.map(summary)
}

async function timeOnce(model: Model, load: LoadOptions, feeds: Feeds, engine: Engine, budget: number, times: Times) {
  const start = performance.now()
  const session = await engine.load(model, load)
  times.load = Math.min(times.load, (performance.now() - start) / 1000)
  try {
    for (let i = 0; i < WARM_UP; i++) await session.run(feeds)
    const stop = performance.now() + budget * 1000
    for (let n = 0; n < LEAST_RUNS || performance.now() < stop; n++) {
      const before = performance.now()
      await session.run(feeds)
      times.runs.push((performance.now() - before) / 1000)
    }
  } finally {
    await session.release()
  }
}

function summary({ runs, load }: Times): Timing {
  const sorted = [...runs].sort((a, b) => a - b)
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number
  return { median: at(0.5), low: at(0.1), high: at(0.9), runs: sorted.length, load }
}
