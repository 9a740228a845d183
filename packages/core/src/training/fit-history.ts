import type { Tensor } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import type { Evaluation, Metrics } from './fit.ts'
import type { StepReport } from './run.ts'

/** What happened between two evaluations. JSON. */
export interface FitRecord {
  readonly step: number
  /** Mean over the steps. */
  readonly loss: number
  /** Share of labels with the highest score, over the steps. */
  readonly accuracy?: number
  readonly metrics: Metrics
}

interface Best {
  readonly value: number
  readonly step: number
}

interface Saved {
  readonly records: FitRecord[]
  readonly best: Best | null
  readonly waited: number
  readonly open: Sums
}

interface Sums {
  readonly steps: number
  readonly loss: number
  readonly hits: number | null
  readonly samples: number
}

const NONE: Sums = { steps: 0, loss: 0, hits: null, samples: 0 }
const BEST = 'best/'

/** What the loop remembers: losses, metrics, the best state, and how long it has not got better. */
export class FitHistory {
  readonly #evaluation: Evaluation | undefined
  #records: FitRecord[] = []
  #open: Sums = NONE
  #best: Best | null = null
  #bestState: ReadonlyMap<string, Tensor> | undefined
  #waited = 0

  constructor(evaluation: Evaluation | undefined) {
    this.#evaluation = evaluation
  }

  get records(): readonly FitRecord[] {
    return this.#records
  }

  get bestState(): ReadonlyMap<string, Tensor> | undefined {
    return this.#bestState
  }

  /** Whether patience is at an end. */
  get isOver(): boolean {
    return this.#waited >= (this.#evaluation?.patience ?? Number.POSITIVE_INFINITY)
  }

  add({ loss, hits }: StepReport, samples: number): void {
    const { steps, loss: sum, hits: before, samples: seen } = this.#open
    const counted = hits === undefined ? null : (before ?? 0) + hits
    this.#open = { steps: steps + 1, loss: sum + loss, hits: counted, samples: seen + samples }
  }

  /** @throws FewbitError TRAIN_METRIC */
  close(step: number, metrics: Metrics, state: ReadonlyMap<string, Tensor>): void {
    const { steps, loss, hits, samples } = this.#open
    this.#records.push({ step, loss: loss / steps, ...(hits !== null && { accuracy: hits / samples }), metrics })
    this.#open = NONE
    const wanted = this.#evaluation?.best
    if (!wanted) return
    const value = metrics[wanted.metric]
    if (value === undefined) throw unmeasured(wanted.metric, metrics)
    const isBetter = !this.#best || (wanted.higher ? value > this.#best.value : value < this.#best.value)
    this.#waited = isBetter ? 0 : this.#waited + 1
    if (isBetter) [this.#best, this.#bestState] = [{ value, step }, state]
  }

  toJSON(): Saved {
    return { records: this.#records, best: this.#best, waited: this.#waited, open: this.#open }
  }

  /** The best state, under names of its own. */
  tensors(): [string, Tensor][] {
    return [...(this.#bestState ?? [])].map(([name, tensor]) => [`${BEST}${name}`, tensor])
  }

  restore(saved: unknown, tensors: ReadonlyMap<string, Tensor>): void {
    const { records, best, waited, open } = saved as Saved
    this.#records = [...records]
    this.#best = best
    this.#waited = waited
    this.#open = open
    const kept = [...tensors].filter(([name]) => name.startsWith(BEST))
    this.#bestState = best ? new Map(kept.map(([name, tensor]) => [name.slice(BEST.length), tensor])) : undefined
  }
}

const unmeasured = (metric: string, metrics: Metrics): Error =>
  problem('TRAIN_METRIC', `"${metric}" is not among what was measured`, {
    at: { option: metric },
    fix: `choose one of ${Object.keys(metrics).join(', ')}`,
  })
