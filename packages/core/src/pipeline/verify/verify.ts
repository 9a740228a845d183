import { argmax, checkpoints, mergeDifferences, type Tolerance } from '../../analysis/index.ts'
import type { Dataset, Engine, Feeds, LoadOptions } from '../../engine/index.ts'
import { type Model, serializeModel } from '../../ir/index.ts'
import { digest, FewbitError, problem } from '../../util/index.ts'
import { requireSameInputs, sideOf } from '../compare/compare.ts'
import { locate } from '../compare/locate.ts'
import {
  isSame,
  outputDifference,
  type Probe,
  pairOutputs,
  probesOf,
  type SampleDifference,
  worstOf,
} from '../compare/outputs.ts'
import { runSide, type Side } from '../compare/side.ts'
import { digested } from '../data-digest.ts'
import { DEFAULT_SAMPLES } from '../default-samples.ts'
import { type ProgressCallback, Run, type RunOptions } from '../run.ts'
import { CORE_VERSION } from '../version.ts'
import type { Certificate, CertifiedModel, EngineOutcome, Outcome } from './certificate.ts'

/** An engine under the name by which it was asked for. */
export interface VerifiedEngine {
  readonly name: string
  readonly engine: Engine
  /** How it loads quantized networks, where that is not by its own habit. */
  readonly load?: LoadOptions
}

export interface VerifyOptions extends RunOptions {
  /** The first one is the reference. */
  readonly engines: readonly VerifiedEngine[]
  readonly data: Dataset
  /** At most this many samples. Default 8. */
  readonly samples?: number
  /** Compare every tensor, also where outputs agree. Default false. */
  readonly intermediate?: boolean
  /** What each node may differ by between engines. Default: one step in a thousandth of the codes; 1e-4 of the peak of floats. */
  readonly tolerance?: Tolerance
  /** What the certificate calls the models. */
  readonly models?: Certificate['models']
}

/**
 * Runs a float and its quantized network on several engines, and says whether they agree; where they do not, which node is the first that makes
 * something else of the same tensors, and why, if the cause is a known one.
 * @throws FewbitError VERIFY_ENGINES without two engines to compare; COMPARE_* for models that are not two forms of one network; what the reference throws; DATA_*.
 */
export async function verify(float: Model, quantized: Model, options: VerifyOptions): Promise<Certificate> {
  const run = new Run(options)
  const [reference, ...others] = options.engines
  if (!reference || others.length === 0) throw tooFewEngines(reference)
  const data = digested(options.data)
  requireSameInputs(float, quantized)
  pairOutputs(float, quantized)
  const probes = await probesOf(float, data, options.samples ?? DEFAULT_SAMPLES.verify, options.signal)
  const tellSamples = (progress: ProgressCallback) =>
    progress(probes.length, probes.length, `${probes.length} samples of both networks`)
  const job = (model: Model, kind: Kind) => new Job(sideOf(model, run), reference, kind, probes, options, run)
  const jobs = { float: job(float, 'float'), quantized: job(quantized, 'quantized') }
  await run.stage(`run on ${reference.name}`, async (progress) => {
    await jobs.float.runReference(progress)
    await jobs.quantized.runReference(progress)
    tellSamples(progress)
  })
  const engines: EngineOutcome[] = []
  for (const each of others) {
    const outcome = await run.stage(`run on ${each.name}`, async (progress) => {
      const outcomes = {
        float: await jobs.float.outcome(each, progress),
        quantized: await jobs.quantized.outcome(each, progress),
      }
      tellSamples(progress)
      return outcomes
    })
    engines.push({ name: each.name, library: each.engine.name, version: each.engine.version, ...outcome })
  }
  const first = { name: reference.name, library: reference.engine.name, version: reference.engine.version }
  const all = [{ ...first, float: jobs.float.own, quantized: jobs.quantized.own }, ...engines]
  const disagree = all.some((e) =>
    [e.float, e.quantized].some(({ verdict }) => verdict === 'differs' || verdict === 'failed'),
  )
  return {
    format: 'fewbit-certificate',
    version: 1,
    versions: { fewbit: CORE_VERSION },
    models: options.models ?? { float: certified(float, 'float'), quantized: certified(quantized, 'quantized') },
    data: { name: data.name, samples: probes.length, digest: data.digest(), synthetic: data.synthetic ?? false },
    reference: reference.name,
    fidelity: fidelity(jobs.float, jobs.quantized, probes),
    engines: all,
    verdict: disagree ? 'disagree' : 'agree',
    diagnostics: run.diagnostics.list,
  }
}

const tooFewEngines = (reference: VerifiedEngine | undefined) =>
  problem(
    'VERIFY_ENGINES',
    reference ? `there is no engine to compare "${reference.name}" with` : 'there is no engine to run the models on',
    { at: { option: 'engines' }, fix: 'name two or more' },
  )

const certified = (model: Model, name: string): CertifiedModel => ({ name, digest: digest(serializeModel(model)) })

type Kind = 'float' | 'quantized'

/** One model on all engines. */
class Job {
  outputs: Feeds[] = []
  own: Outcome = { verdict: 'same' }
  readonly #side: Side
  readonly #kind: Kind
  readonly #probes: readonly Probe[]
  readonly #options: VerifyOptions
  readonly #run: Run
  readonly #reference: Side

  constructor(
    side: Side,
    reference: VerifiedEngine,
    kind: Kind,
    probes: readonly Probe[],
    options: VerifyOptions,
    run: Run,
  ) {
    this.#side = side
    this.#kind = kind
    this.#probes = probes
    this.#options = options
    this.#run = run
    this.#reference = this.#on(reference)
  }

  get model(): Model {
    return this.#side.model
  }

  async runReference(progress: ProgressCallback): Promise<void> {
    const start = performance.now()
    this.outputs = await runSide(this.#reference, this.#feeds, this.#ran(progress))
    this.own = { verdict: 'same', seconds: (performance.now() - start) / 1000 / this.#probes.length }
  }

  async outcome(engine: VerifiedEngine, progress: ProgressCallback): Promise<Outcome> {
    try {
      return await this.#compare(this.#on(engine), progress)
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      if (!(error instanceof FewbitError)) throw error
      return { verdict: 'failed', failure: failureOf(error) }
    }
  }

  async #compare(side: Side, progress: ProgressCallback): Promise<Outcome> {
    const start = performance.now()
    const outputs = await runSide(side, this.#feeds, this.#ran(progress))
    const seconds = (performance.now() - start) / 1000 / this.#probes.length
    const pairs = pairOutputs(this.model, this.model)
    const samples = this.#probes.map((probe, i) =>
      outputDifference(pairs, probe, this.outputs[i] as Feeds, outputs[i] as Feeds),
    )
    const worst = worstOf(samples) as SampleDifference
    const measured = { outputs: mergeDifferences(samples), worst, seconds }
    const same = samples.every(isSame)
    const { intermediate = false } = this.#options
    if (same && !intermediate) return { verdict: 'same', ...measured }
    const found = await this.#locate(side, worst.sample, intermediate, progress).catch((error) =>
      this.#unlocated(error),
    )
    if ('unlocated' in found) return { verdict: same ? 'same' : 'differs', ...measured, ...found }
    const { parting, layers } = found
    const verdict = parting ? 'differs' : same ? 'same' : 'rounding'
    return { verdict, ...measured, ...(parting && { parting }), ...(intermediate && { layers }) }
  }

  /** Outputs have been compared by then. */
  #unlocated(error: unknown): { unlocated: string } {
    this.#options.signal?.throwIfAborted()
    if (!(error instanceof FewbitError)) throw error
    return { unlocated: failureOf(error).message }
  }

  #locate(side: Side, sample: string, toTheEnd: boolean, progress: ProgressCallback) {
    const pairs = checkpoints(this.model, this.#run.ops).map((point) => ({
      reference: point,
      candidate: point,
      by: 'name' as const,
    }))
    const { feeds } = this.#probes.find(({ id }) => id === sample) as Probe
    const tolerance = () => this.#options.tolerance ?? {}
    const compared = (done: number, total: number) => progress(done, total, `tensors of the ${this.#kind} network`)
    const { ops, signal } = this.#run
    return locate(this.#reference, side, pairs, feeds, { ops, tolerance, toTheEnd, ...signal, compared })
  }

  #ran(progress: ProgressCallback) {
    return (done: number) => progress(done, this.#probes.length, `samples of the ${this.#kind} network`)
  }

  #on({ engine, load }: VerifiedEngine): Side {
    return { ...this.#side, engine, load: (this.#kind === 'quantized' ? load : undefined) ?? this.#side.load }
  }

  get #feeds(): Feeds[] {
    return this.#probes.map((probe) => probe.feeds)
  }
}

/** What engines say of operators, or of forms of them, for which they have no code. */
const NO_KERNEL =
  /not[ _]implemented|could not find an implementation|no kernel|unsupported|not (?:currently )?registered/i

function failureOf(error: FewbitError): NonNullable<Outcome['failure']> {
  const message = error.diagnostics.find(({ level }) => level === 'error')?.message ?? error.message
  const cause = NO_KERNEL.test(message) ? { cause: 'missing-kernel' } : {}
  return { code: error.code, message, ...cause }
}

/** Of one sample: one score for each class, perhaps with axes of one element behind them. */
const areScores = ([batch, classes = 1, ...others]: readonly number[]): boolean =>
  batch === 1 && classes > 1 && others.every((size) => size === 1)

function fidelity(float: Job, quantized: Job, probes: readonly Probe[]): Certificate['fidelity'] {
  const pairs = pairOutputs(float.model, quantized.model)
  const samples = probes.map((probe, i) =>
    outputDifference(pairs, probe, float.outputs[i] as Feeds, quantized.outputs[i] as Feeds),
  )
  const { sqnr } = mergeDifferences(samples)
  const [first] = pairs
  const classes = float.outputs.map((outputs, i) => {
    const [r, c] = [outputs[first?.reference.name ?? ''], quantized.outputs[i]?.[first?.candidate.name ?? '']]
    return r && c && areScores(r.dims) ? argmax(r.numbers()) === argmax(c.numbers()) : undefined
  })
  if (classes.some((same) => same === undefined)) return { sqnr }
  return { sqnr, agreement: classes.filter(Boolean).length / classes.length }
}
