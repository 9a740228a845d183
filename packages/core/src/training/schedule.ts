import type { Recorded } from './definition.ts'
import type { Progress } from './progress.ts'

/** How the learning rate changes along a run. */
export interface Schedule extends Recorded {
  /** What the rate is multiplied with at a step. A pure function. */
  factor(progress: Progress): number
}

export type ScheduleBody = Omit<Schedule, keyof Recorded>

export interface WarmupOptions {
  readonly warmup: number
  readonly warmupFrom: number
}

export const WARMUP = {
  warmup: {
    summary: 'steps in which the rate grows to its full size; below 1 a share of the run',
    default: 0,
    least: 0,
  },
  warmupFrom: { summary: 'share of the rate that the first of them has', default: 0.025, least: 0, most: 1 },
} as const

/** A number of steps: below 1 it is a share of the run. */
export const stepsOf = (amount: number, total: number): number => (amount < 1 ? Math.round(amount * total) : amount)

/**
 * Grows linearly from `warmupFrom` at step 1 to 1 at step `warmup`, and goes on as the schedule says for the rest of the run.
 * @param after of t = 0 at the first step behind the warm-up up to, and not including, 1; and of that step's number among `rest` steps.
 */
export function warmed(
  { warmup, warmupFrom }: WarmupOptions,
  after: (t: number, step: number, rest: number) => number,
) {
  return ({ step, total }: Progress): number => {
    const first = stepsOf(warmup, total)
    if (step <= first) return first <= 1 ? 1 : warmupFrom + ((1 - warmupFrom) * (step - 1)) / (first - 1)
    const rest = Math.max(1, total - first)
    return after((step - 1 - first) / rest, step - 1 - first, rest)
  }
}
