import { cloneModel, type Model } from '../ir/index.ts'
import { materialize, type ParamsTable, type QuantPlan } from '../quant/index.ts'
import { Diagnostics } from '../util/index.ts'
import type { Execution } from './execution.ts'
import { type OutputErrors, outputErrors, type ReferenceOutputs } from './output-error.ts'
import { chooseParams, type StatsSource } from './parameters.ts'
import type { ProgressCallback, Run } from './run.ts'

/** A plan with the parameters that its observers choose. */
export interface Candidate {
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

/** One thing that was tried. JSON. */
export interface Trial {
  readonly what: string
  /** SQNR of the outputs against float, in dB. */
  readonly sqnr: number
  readonly kept: boolean
}

export interface Judged extends Candidate, OutputErrors {}

/** Writes candidates out, runs them on the engine and keeps the record of every trial. */
export class Judge {
  readonly trials: Trial[] = []
  readonly #float: Model
  readonly #stats: StatsSource
  readonly #reference: ReferenceOutputs
  readonly #run: Run
  readonly #progress: ProgressCallback
  readonly #execution: Execution

  constructor(
    float: Model,
    stats: StatsSource,
    reference: ReferenceOutputs,
    execution: Execution,
    run: Run,
    progress: ProgressCallback,
  ) {
    this.#execution = execution
    this.#float = float
    this.#stats = stats
    this.#reference = reference
    this.#run = run
    this.#progress = progress
  }

  /** Measures a plan. `accept` decides whether the trial is kept; the answer goes into the record. */
  async measure(
    what: string,
    plan: QuantPlan,
    accept: (errors: OutputErrors) => boolean = () => false,
  ): Promise<Judged> {
    const params = this.params(plan)
    const { form, load } = this.#execution
    const model = materialize(cloneModel(this.#float), plan, params, { form })
    const errors = await outputErrors(model, this.#reference, load, this.#run)
    this.trials.push({ what, sqnr: errors.sqnr, kept: accept(errors) })
    this.#progress(this.trials.length, undefined)
    return { plan, params, ...errors }
  }

  /** What the plan's observers choose. */
  params(plan: QuantPlan): ParamsTable {
    return chooseParams(this.#float, plan, this.#stats, new Diagnostics(), this.#run.registries.observers)
  }

  /** Marks a trial as kept after it was measured. */
  keep(what: string): void {
    const at = this.trials.findIndex((trial) => trial.what === what)
    const trial = this.trials[at]
    if (trial) this.trials[at] = { ...trial, kept: true }
  }
}
