import type { Tensor } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import { type BatchSource, stepBatches } from './batches.ts'
import { checkSettings, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
import { FitHistory, type FitRecord } from './fit-history.ts'
import type { StepReport, TrainingRun } from './run.ts'
import type { Schedule } from './schedule.ts'
import type { StepBatch } from './step.ts'

export type Metrics = Readonly<Record<string, number>>

export interface FitOptions {
  readonly run: TrainingRun
  readonly batches: BatchSource
  /** Steps of the whole run, those before a checkpoint included. */
  readonly steps: number
  readonly lr: number
  readonly schedule: Schedule
  readonly onStep?: (progress: FitProgress) => void
  readonly evaluate?: Evaluation
  readonly checkpoint?: CheckpointOptions
  /** A checkpoint to go on from. */
  readonly resume?: Uint8Array
  /** The step that is being made is finished, and a checkpoint written, before the run is given up. */
  readonly signal?: AbortSignal
  /** Further settings that a resumed run must share, such as the seed. JSON. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Milliseconds, for images per second. Default: `performance.now`. */
  readonly now?: () => number
}

export interface Evaluation {
  /** Steps between evaluations; the last step is always followed by one. */
  readonly every: number
  /** @param state of the network by initializer, for `withState`. Moving averages where the step keeps them. */
  measure(state: ReadonlyMap<string, Tensor>, step: number): Promise<Metrics>
  /** Metric by which the best state is kept. Default: none is kept. */
  readonly best?: { readonly metric: string; readonly higher: boolean }
  /** Stops after this many evaluations without a better `best`. */
  readonly patience?: number
}

export interface CheckpointOptions {
  /** Steps between checkpoints; the last step is always followed by one. */
  readonly every: number
  save(bytes: Uint8Array, steps: number): Promise<void> | void
  /** Programs that write it, for people. */
  readonly versions?: Readonly<Record<string, string>>
}

export interface FitProgress extends StepReport {
  /** Steps made, this one included. */
  readonly step: number
  readonly total: number
  readonly epoch: number
  readonly lr: number
  /** Share of labels with the highest score in this step. */
  readonly accuracy?: number
  /** Since the loop began, evaluations and checkpoints left out. */
  readonly samplesPerSecond: number
}

export interface FitResult {
  readonly steps: number
  /** Losses since the evaluation before, and what was measured. */
  readonly history: readonly FitRecord[]
  /** The best state where `best` is given, else the last one. */
  readonly state: ReadonlyMap<string, Tensor>
  readonly stopped: 'finished' | 'early'
}

/**
 * Trains: batches, rates, evaluations and checkpoints around `TrainingRun`.
 * @throws FewbitError TRAIN_DIVERGED where the loss is not finite; CHECKPOINT_FORMAT, CHECKPOINT_OTHER for a checkpoint that does not fit; the
 *   signal's reason when aborted; TRAIN_METRIC for a metric that is not measured.
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  return new Fit(options).go()
}

class Fit {
  readonly #options: FitOptions
  readonly #settings: Readonly<Record<string, unknown>>
  readonly #history: FitHistory
  readonly #now: () => number
  #busy = 0
  #samples = 0

  constructor(options: FitOptions) {
    const { run, lr, schedule, steps, batches, settings = {} } = options
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#settings = JSON.parse(
      JSON.stringify({ ...run.step.settings, lr, schedule, steps, batches, seed: run.seed, ...settings }),
    )
    this.#history = new FitHistory(options.evaluate)
  }

  async go(): Promise<FitResult> {
    const { run, steps, batches, resume, signal } = this.#options
    if (resume) this.#restore(resume)
    // A run that was given up may not have come to what follows its last step.
    if (run.steps > 0) await this.#between()
    if (!this.#isOver) {
      for await (const parts of stepBatches(batches, run.step.accumulate, run.steps)) {
        await this.#step(parts)
        if (signal?.aborted) await this.#save()
        signal?.throwIfAborted()
        await this.#between()
        if (this.#isOver) break
      }
    }
    const state = this.#history.bestState ?? run.state(true)
    return {
      steps: run.steps,
      history: this.#history.records,
      state,
      stopped: run.steps < steps ? 'early' : 'finished',
    }
  }

  get #isOver(): boolean {
    return this.#isLast || this.#history.isOver
  }

  get #isLast(): boolean {
    return this.#options.run.steps >= this.#options.steps
  }

  async #step(parts: readonly StepBatch[]): Promise<void> {
    const { run, steps, lr, schedule, onStep, batches } = this.#options
    const began = this.#now()
    const rate = lr * schedule.factor({ step: run.steps + 1, total: steps })
    const report = await run.advance(parts, { lr: rate, total: steps })
    this.#busy += this.#now() - began
    const samples = batches.batchSize * run.step.accumulate
    this.#samples += samples
    if (!Number.isFinite(report.loss)) throw diverged(run.steps, rate)
    this.#history.add(report, samples)
    onStep?.({
      ...report,
      step: run.steps,
      total: steps,
      epoch: Math.floor(((run.steps - 1) * run.step.accumulate) / batches.batchesPerEpoch),
      lr: rate,
      ...(report.hits !== undefined && { accuracy: report.hits / samples }),
      samplesPerSecond: this.#busy > 0 ? (1000 * this.#samples) / this.#busy : 0,
    })
  }

  /** What is done between steps. A checkpoint comes last, so that it knows the evaluation. */
  async #between(): Promise<void> {
    const { run, evaluate, checkpoint } = this.#options
    const isDue = (every: number | undefined) => every !== undefined && (this.#isLast || run.steps % every === 0)
    if (evaluate && isDue(evaluate.every) && this.#history.records.at(-1)?.step !== run.steps) {
      const state = run.state(true)
      this.#history.close(run.steps, await evaluate.measure(state, run.steps), state)
    }
    if (isDue(checkpoint?.every) || (checkpoint && this.#history.isOver)) await this.#save()
  }

  async #save(): Promise<void> {
    const { run, checkpoint } = this.#options
    if (!checkpoint) return
    const bytes = encodeCheckpoint({
      steps: run.steps,
      tensors: new Map([...run.fullState(), ...this.#history.tensors()]),
      settings: this.#settings,
      loop: this.#history.toJSON(),
      ...(checkpoint.versions && { versions: checkpoint.versions }),
    })
    await checkpoint.save(bytes, run.steps)
  }

  #restore(bytes: Uint8Array): void {
    const { steps, tensors, settings, loop } = decodeCheckpoint(bytes)
    checkSettings(settings, this.#settings)
    this.#options.run.restore(tensors, steps)
    this.#history.restore(loop, tensors)
  }
}

const diverged = (step: number, lr: number): Error =>
  problem('TRAIN_DIVERGED', `the loss is not a finite number at step ${step}, at a rate of ${lr}`, {
    fix: 'take a lower rate, a longer warm-up, or clip gradients',
  })
