import {
  type AlgorithmContext,
  type AlgorithmOutcome,
  type AlgorithmStage,
  type ChosenAlgorithm,
  chooseAlgorithms,
  type FloatAlgorithm,
  giveOwnBiases,
  isResumable,
  type NormStatistics,
  type QuantizedAlgorithm,
  type QuantizedContext,
} from '../algorithms/index.ts'
import type { Dataset } from '../engine/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { materialize, type Target } from '../quant/index.ts'
import { type OptionValues, problem } from '../util/index.ts'
import type { Execution } from './execution.ts'
import type { Candidate } from './judge.ts'
import type { QuantizeSettings } from './options.ts'
import { outputDeviation, outputError, type ReferenceOutputs } from './output-error.ts'
import { withBiases } from './parameters.ts'
import type { PartsCheckpoint } from './parts-checkpoint.ts'
import type { ProgressCallback, Run } from './run.ts'

/** What an algorithm did in this run. JSON. */
export interface AlgorithmRecord {
  readonly name: string
  readonly stage: AlgorithmStage
  readonly options: OptionValues
  /** Number of nodes whose weights, scales or biases changed. */
  readonly changed: number
  readonly notes: readonly string[]
  readonly details?: Readonly<Record<string, unknown>>
  readonly seconds: number
  /** Of a rewrite of the float network: greatest change of an output, as a share of its largest magnitude. */
  readonly deviation?: number
  /** A rewrite changed the outputs by more than it may, or a correction made them worse, and was taken back. */
  readonly undone?: true
  /** Of an algorithm on the quantized network: SQNR of the outputs against float before and after it, in dB. */
  readonly sqnr?: { readonly before: number; readonly after: number }
}

/** What all algorithms of a run have in common. */
export interface AlgorithmSurroundings {
  readonly settings: QuantizeSettings
  readonly target: Target
  readonly norms: NormStatistics
  readonly data: Dataset | undefined
  readonly batchSize: number
  readonly run: Run
}

/**
 * The algorithms that the settings name, in the order in which they run.
 * @throws FewbitError ALGORITHM_UNKNOWN, ALGORITHM_OPTION, ALGORITHM_TWICE; ALGORITHM_DATA for one that needs data where there are none.
 */
export function algorithmsFor(settings: QuantizeSettings, hasData: boolean, run: Run): ChosenAlgorithm[] {
  const chosen = chooseAlgorithms(settings.algorithms, run.registries.algorithms)
  const lacking = hasData ? undefined : chosen.find(needsData)
  if (!lacking) return chosen
  const { name } = lacking.algorithm
  const other = withoutData(lacking)
  throw problem('ALGORITHM_DATA', `algorithm ${name} needs calibration data`, {
    at: { option: 'algorithm' },
    fix: other ? `give data, or write ${name}:${other}` : 'give data, or leave it out',
  })
}

function needsData({ algorithm: { needsData: needs }, options }: ChosenAlgorithm): boolean {
  return typeof needs === 'object' ? Object.entries(needs.when).some(([key, v]) => options[key] === v) : needs
}

/** The option that lets an algorithm do without data, as it is written. */
function withoutData({ algorithm: { needsData: needs, options } }: ChosenAlgorithm): string | undefined {
  const [key, value] = typeof needs === 'object' ? (Object.entries(needs.when)[0] ?? []) : []
  if (key === undefined) return undefined
  const choices = options[key]?.choices ?? [true, false]
  return `${key}=${choices.find((choice) => choice !== value)}`
}

/**
 * Runs the algorithms of the float stage. Each proves itself on `reference`, samples with the outputs of the network before.
 * @returns the rewritten network, or the given one where nothing changed.
 */
export async function rewriteFloat(
  model: Model,
  chosen: readonly ChosenAlgorithm[],
  reference: () => Promise<ReferenceOutputs>,
  around: AlgorithmSurroundings,
): Promise<{ readonly model: Model; readonly norms: NormStatistics; readonly records: readonly AlgorithmRecord[] }> {
  const records: AlgorithmRecord[] = []
  let current = model
  let { norms } = around
  const list = chosen.filter(({ algorithm }) => algorithm.stage === 'float')
  const outputs = list.length > 0 ? await reference() : []
  for (const { algorithm, options } of list) {
    const { preserves, apply } = algorithm as FloatAlgorithm
    const copy = cloneModel(current)
    const moments = new Map(norms)
    const { outcome, seconds } = await timed(algorithm.name, around.run, (progress) =>
      apply({ ...contextFor(copy, around, progress), norms: moments }, options),
    )
    const deviation = outcome.changed.length > 0 ? await outputDeviation(copy, outputs, around.run) : 0
    const undone = preserves !== 'approximate' && !(deviation <= preserves)
    if (undone) warnUndone(algorithm.name, deviation, preserves, around.run)
    else [current, norms] = [copy, moments]
    records.push({ ...recordOf(algorithm, options, outcome, seconds), deviation, ...(undone ? { undone } : {}) })
  }
  if (chosen.some(({ algorithm }) => algorithm.ownBiases)) {
    current = cloneModel(current)
    giveOwnBiases(current, around.run.ops)
  }
  return { model: current, norms, records }
}

/**
 * Runs the algorithms of the stages after planning, on a copy of the float network whose weights they change.
 * @returns the network to be written, with parameters that suit it.
 */
export async function adjustQuantized(
  float: Model,
  candidate: Candidate,
  chosen: readonly ChosenAlgorithm[],
  reference: () => Promise<ReferenceOutputs>,
  around: AlgorithmSurroundings & { readonly execution: Execution; readonly checkpoint?: PartsCheckpoint | undefined },
): Promise<Candidate & { readonly model: Model; readonly records: readonly AlgorithmRecord[] }> {
  const records: AlgorithmRecord[] = []
  const list = chosen.filter(({ algorithm }) => algorithm.stage !== 'float')
  if (list.length === 0) return { ...candidate, model: float, records }
  const { execution, checkpoint, run } = around
  const { plan } = candidate
  const outputs = await reference()
  let model = cloneModel(float)
  let params = new Map(candidate.params)
  const measure = () => {
    const written = materialize(cloneModel(model), plan, params, { form: execution.form })
    return outputError(written, outputs, execution.load, run)
  }
  // Without data there is nothing to measure on.
  const judged = async () => (outputs.length > 0 ? measure() : undefined)
  let before = await judged()
  for (const { algorithm, options } of list) {
    const kept = { model: cloneModel(model), params: new Map(params) }
    const parts = isResumable(algorithm) && checkpoint?.keeperFor(algorithm.name, { model, plan, params })
    const { outcome, seconds } = await timed(algorithm.name, run, (progress) => {
      const cx: QuantizedContext = {
        ...contextFor(model, around, progress),
        ...{ plan, params, reference: float, form: execution.form, load: execution.load },
        ...(parts ? { parts } : {}),
      }
      return (algorithm as QuantizedAlgorithm).apply(cx, options)
    })
    params = withBiases(model, plan, params)
    const after = await judged()
    const sqnr = before === undefined || after === undefined ? undefined : { before, after }
    const loss = sqnr && sqnr.after < sqnr.before && (algorithm as QuantizedAlgorithm).undoneOnLoss ? sqnr : undefined
    const measured = { ...(sqnr ? { sqnr } : {}), ...(loss ? { undone: true as const } : {}) }
    records.push({ ...recordOf(algorithm, options, outcome, seconds), ...measured })
    if (loss) warnLoss(algorithm.name, loss, run)
    if (loss) ({ model, params } = kept)
    else before = after
  }
  return { plan, params, model, records }
}

function contextFor(model: Model, around: AlgorithmSurroundings, progress: ProgressCallback): AlgorithmContext {
  const { settings, target, norms, data, batchSize, run } = around
  return {
    model,
    target,
    norms: new Map(norms),
    ops: run.ops,
    engine: run.engine,
    seed: settings.seed,
    passes: run.passContext(),
    progress,
    ...(data ? { data: { dataset: data, samples: settings.samples, batchSize } } : {}),
    ...run.signal,
  }
}

async function timed(name: string, run: Run, work: (progress: ProgressCallback) => Promise<AlgorithmOutcome>) {
  const before = run.seconds[name] ?? 0
  const outcome = await run.stage(name, work)
  return { outcome, seconds: (run.seconds[name] ?? 0) - before }
}

function recordOf(
  { name, stage }: ChosenAlgorithm['algorithm'],
  options: ChosenAlgorithm['options'],
  { changed, notes = [], details }: AlgorithmOutcome,
  seconds: number,
): AlgorithmRecord {
  return { name, stage, options, changed: changed.length, notes, ...(details ? { details } : {}), seconds }
}

function warnUndone(name: string, deviation: number, allowed: number, { diagnostics }: Run): void {
  diagnostics.warn('ALGORITHM_UNDONE', `${name} changed the float network's outputs and was taken back`, {
    notes: [
      `largest change ${deviation.toExponential(1)} of the output's magnitude, allowed ${allowed.toExponential(1)}`,
    ],
    fix: 'leave the algorithm out for this network',
  })
}

function warnLoss(name: string, { before, after }: { before: number; after: number }, { diagnostics }: Run): void {
  diagnostics.warn('ALGORITHM_UNDONE', `${name} made the outputs worse and was taken back`, {
    notes: [`SQNR of the outputs ${before.toFixed(1)} dB without it, ${after.toFixed(1)} dB with it`],
    fix: 'leave the algorithm out for this network, or give it more calibration samples',
  })
}
