import type { Model } from '../../ir/index.ts'
import { type PlanSummary, parseScheme, summarizePlan } from '../../quant/index.ts'
import { FewbitError, must } from '../../util/index.ts'
import { calibrationData } from '../data.ts'
import { targetOf } from '../make-plan.ts'
import { type Patch, patched } from '../patch.ts'
import { type Produced, produce } from '../produce.ts'
import { type QuantizeOptions, type QuantizeResult, report } from '../quantize.ts'
import { Run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import { type CustomMetric, dropOf, isMet, type Judgement, judgement, type MaxDrop } from './floor.ts'
import { rankLayers } from './rank-layers.ts'
import { richerScheme } from './richer-scheme.ts'
import { type Outlook, type Step, steps } from './rungs.ts'
import { earlierState, type LadderMemory, type LadderState, type LadderTrial, ladderKey } from './state.ts'

/** A checkpoint is gone on from wherever it is of the same trial. */
export interface ClimbOptions extends Omit<QuantizeOptions, 'resume'> {
  readonly maxDrop: MaxDrop
  /** Default the first metric of the evaluation, or `top1`. */
  readonly metric?: string | CustomMetric
  /** Where results are kept, so that an interrupted ladder goes on where it was. */
  readonly memory?: LadderMemory
}

/** How a floor was reached, or not. JSON. */
export interface Ladder {
  readonly metric: string
  readonly higherIsBetter: boolean
  readonly float: number
  /** Greatest drop that was allowed, in units of the metric. */
  readonly allowed: number
  readonly met: boolean
  /** Index of the best trial. */
  readonly best: number
  readonly trials: readonly LadderTrial[]
}

export interface ClimbResult extends QuantizeResult {
  readonly ladder: Ladder
}

/**
 * Quantizes by ever stronger methods until the score on the evaluation data drops by no more than allowed: observers, equalization and
 * bias correction, scale search, rounding, reconstruction, single layers in float, more bits. What does not help is not kept. Where nothing suffices the
 * best network is returned, and `ladder.met` is false.
 * @throws FewbitError LADDER_DATA, LADDER_METRIC, LADDER_RECIPE; what `quantize` throws.
 */
export async function climb(model: Model, options: ClimbOptions): Promise<ClimbResult> {
  const run = new Run(options)
  const climber = await startClimb(model, options, run)
  for await (const step of steps(() => climber.outlook())) {
    await climber.try(step)
    if (climber.isMet) break
  }
  const made = await climber.bestProduced()
  const result = await report(model, made, quantizeOptions(options), run)
  return { ...result, ladder: climber.ladder() }
}

/** The options of `quantize` alone. */
function quantizeOptions(options: ClimbOptions): QuantizeOptions {
  const { maxDrop: _d, metric: _m, memory: _s, ...rest } = options
  return { ...rest, ...(rest.checkpoint && { resume: 'if-same' }) }
}

async function startClimb(model: Model, options: ClimbOptions, run: Run): Promise<Climber> {
  const own = quantizeOptions(options)
  const settings = settingsOf(own, run)
  const judge = await run.stage('evaluate float', () => judgement(model, options.metric, options.maxDrop, own, run))
  const sources = [calibrationData(options.calibration), ...(options.evaluation ? [options.evaluation.data] : [])]
  const described = sources.map((data) => ('toJSON' in data ? data.toJSON() : { name: data.name }))
  const [first, second] = described.map((data) => JSON.stringify(data))
  if (first === second) warnOfSameData(run)
  const key = ladderKey(model, settings, described, run)
  const state = await earlierState(options.memory, { key, metric: judge.metric, float: judge.float })
  return new Climber(model, own, judge, state, run, options.memory)
}

function warnOfSameData({ diagnostics }: Run): void {
  diagnostics.warn('LADDER_SAME_DATA', 'the floor is held on the calibration data, which flatters every method', {
    at: { option: 'eval-data' },
    fix: 'name other data with --eval-data',
  })
}

interface Best {
  readonly trial: LadderTrial
  readonly patch: Patch
  /** Absent while the trial is known from an earlier run only. */
  made?: Produced
}

/** State of one climb: the trials, and the best of them. */
class Climber {
  readonly #model: Model
  readonly #options: QuantizeOptions
  readonly #judge: Judgement
  readonly #state: LadderState
  readonly #run: Run
  readonly #memory: LadderMemory | undefined
  readonly #trials: LadderTrial[] = []
  #best: Best | undefined

  constructor(
    model: Model,
    options: QuantizeOptions,
    judge: Judgement,
    state: LadderState,
    run: Run,
    memory: LadderMemory | undefined,
  ) {
    this.#model = model
    this.#options = options
    this.#judge = judge
    this.#state = state
    this.#run = run
    this.#memory = memory
  }

  get isMet(): boolean {
    const score = this.#best?.trial.score
    return score !== undefined && isMet(this.#judge, score)
  }

  outlook(): Outlook {
    const settings = settingsOf(this.#options, this.#run)
    const target = targetOf(settings, this.#run)
    return {
      patch: this.#best?.patch ?? {},
      algorithms: this.#run.registries.algorithms,
      given: settings.algorithms.map(({ name }) => name),
      mayKeepFloat: target.fallback !== 'none',
      shifts: target.activations.powerOfTwo !== undefined,
      fewBits: hasFewBits(settings.scheme),
      richer: richerScheme(settings.scheme, target),
      sensitivity: () => this.#sensitivity(),
    }
  }

  async try(step: Step): Promise<void> {
    const known = this.#state.trials.find(({ what, failure }) => what === step.what && failure === undefined)
    if (known) this.#record(known, step.patch)
    else await this.#measure(step)
  }

  /** The best network, made again from its recipe where an earlier run measured it. */
  async bestProduced(): Promise<Produced> {
    const best = must(this.#best, 'best trial')
    best.made ??= await produce(this.#model, this.#replay(best.trial), this.#run)
    return best.made
  }

  ladder(): Ladder {
    const { metric, higherIsBetter, float, allowed } = this.#judge
    const best = this.#trials.indexOf(must(this.#best, 'best trial').trial)
    return { metric, higherIsBetter, float, allowed, met: this.isMet, best, trials: this.#trials }
  }

  async #measure({ rung, what, patch }: Step): Promise<void> {
    const start = performance.now()
    const seconds = () => (performance.now() - start) / 1000
    const isFirst = this.#trials.length === 0
    try {
      const made = await produce(this.#model, patched(this.#options, patch), this.#run)
      const score = await this.#run.stage('evaluate', () => this.#judge.score(made.model, made.execution.load))
      const drop = dropOf(this.#judge, score)
      const { integerShare } = summarizePlan(made.plan)
      const facts = { rung, what, score, drop, seconds: seconds(), recipe: made.recipe, ...shareOf(integerShare) }
      this.#record({ ...facts, kept: this.#isBetter(drop) }, patch, made)
    } catch (error) {
      // Options that cannot work fail the first trial; later ones bring methods that this network may not take.
      if (isFirst || !(error instanceof FewbitError)) throw error
      this.#trials.push({ rung, what, kept: false, seconds: seconds(), failure: error.message })
    }
    await this.#memory?.save({ ...this.#state, trials: [...this.#trials] })
  }

  #record(trial: LadderTrial, patch: Patch, made?: Produced): void {
    this.#trials.push(trial)
    if (trial.kept) this.#best = { trial, patch, ...(made ? { made } : {}) }
  }

  #isBetter(drop: number): boolean {
    const best = this.#best?.trial.drop
    return best === undefined || drop < best
  }

  #replay({ recipe }: LadderTrial): QuantizeOptions {
    const { calibration, engine, signal, onProgress, ops, extensions } = this.#options
    const host = {
      engine,
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
      ...(ops ? { ops } : {}),
      ...(extensions ? { extensions } : {}),
    }
    return { ...host, calibration: { data: calibrationData(calibration) }, recipe: must(recipe, 'recipe of a trial') }
  }

  async #sensitivity(): Promise<readonly string[]> {
    const made = await this.bestProduced()
    return this.#run.stage('rank layers', (progress) => rankLayers(made, this.#run, progress))
  }
}

function hasFewBits(scheme: string): boolean {
  const { weights, activations } = parseScheme(scheme)
  return Math.min(weights?.bits ?? 8, activations?.bits ?? 8) < 8
}

const shareOf = (share: PlanSummary['integerShare']) => (share === undefined ? {} : { integerShare: share })
