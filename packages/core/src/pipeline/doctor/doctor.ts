import type { AnalysisFinding } from '../../analysis/index.ts'
import type { Model } from '../../ir/index.ts'
import { FewbitError, type Level } from '../../util/index.ts'
import { calibrationData, datasetFor } from '../data.ts'
import { score } from '../evaluate.ts'
import { joined, type Patch, patched, patchText } from '../patch.ts'
import { type Produced, produce } from '../produce.ts'
import { type QuantizeOptions, type QuantizeResult, report } from '../quantize.ts'
import { Run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import type { Cause, Examination, Symptom } from './cause.ts'
import { CAUSES, type CauseName } from './causes/index.ts'
import { examine } from './examine.ts'

export interface DoctorOptions extends Omit<QuantizeOptions, 'checkpoint' | 'resume'> {
  /** Takes the remedies together that help, and returns the network. */
  readonly apply?: boolean
}

/** A score before and after. */
export interface Effect {
  readonly metric: string
  readonly before: number
  readonly after: number
}

/** A cause that was found, where, and what helps. JSON. */
export interface DoctorFinding {
  readonly cause: CauseName
  readonly title: string
  readonly explanation: string
  readonly level: Level
  /** The worst first. */
  readonly symptoms: readonly Symptom[]
  readonly fix: string
  /** The fix as flags of `fewbit quantize`, where options do it. */
  readonly flags?: string
  /** What the fix alone does; absent where no option does it. */
  readonly effect?: Effect
  /** Why the fix could not be tried. */
  readonly failure?: string
}

export interface Diagnosis {
  readonly target: string
  readonly scheme: string
  readonly metric: string
  /** Of the network as the options quantize it. */
  readonly score: number
  readonly findings: readonly DoctorFinding[]
  /** All fixes that help one beside the other, with `apply`. */
  readonly cure?: Effect & { readonly causes: readonly CauseName[]; readonly flags: string }
}

export interface DoctorResult {
  readonly diagnosis: Diagnosis
  /** The network that was examined, for `analyze`. */
  readonly examined: Pick<Produced, 'model' | 'float' | 'reference' | 'plan' | 'params'>
  /** With `apply`: the network with all that helped. */
  readonly quantized?: QuantizeResult
}

/**
 * Quantizes as the options say, examines the network, and names from a closed list what is wrong with it: where, the figures, the fix and
 * what the fix does when it is tried alone.
 * @throws FewbitError as `quantize` does.
 */
export async function doctor(model: Model, options: DoctorOptions): Promise<DoctorResult> {
  const { apply = false, ...own } = options
  const run = new Run(own)
  const settings = settingsOf(own, run)
  const clinic = await Clinic.open(model, own, run)
  const made = await produce(model, own, run)
  const before = await clinic.score(made)
  const exam = await examine(made, settings, run)
  const cases = findCases(exam)
  const tried = await run.stage('try remedies', async (progress) => {
    const done: Tried[] = []
    for (const [i, found] of cases.entries()) {
      progress(i, cases.length)
      done.push(await clinic.tryAlone(found, before))
    }
    return done
  })
  const { target, scheme } = settings
  const diagnosis = {
    target,
    scheme,
    metric: clinic.metric,
    score: before,
    findings: tried.map(({ finding }) => finding),
  }
  const { model: quantizedModel, float, reference, plan, params } = made
  const examined = { model: quantizedModel, float, reference, plan, params }
  if (!apply) return { diagnosis, examined }
  const { cure, made: best } = await run.stage('apply', () => clinic.combine(tried, { made, score: before }))
  const quantized = await report(model, best, own, run)
  return { diagnosis: { ...diagnosis, ...(cure ? { cure } : {}) }, examined, quantized }
}

/** Places of one cause that a report names. */
const PLACES = 3

/** What was found in the form of an analysis: one entry for each of the worst places. */
export function analysisFindings({ findings }: Diagnosis): AnalysisFinding[] {
  return findings.flatMap(({ cause, title, level, symptoms, fix, flags, effect }) =>
    symptoms.slice(0, PLACES).map(({ at, evidence }) => ({
      cause,
      title,
      level,
      at: { ...at },
      evidence: { ...evidence },
      fix: flags ? `${fix}: ${flags}` : fix,
      ...(effect ? { effect: { ...effect } } : {}),
    })),
  )
}

interface Case {
  readonly name: CauseName
  readonly cause: Cause
  readonly symptoms: readonly Symptom[]
  readonly text: string
  readonly patch?: Patch
}

/** Every cause that left a trace, in the order of the list. */
export function findCases(exam: Examination): Case[] {
  const found = Object.entries<Cause>(CAUSES).flatMap(([name, cause]): Case[] => {
    const symptoms = [...cause.find(exam)].sort((a, b) => b.severity - a.severity)
    return symptoms.length > 0 ? [{ name: name as CauseName, cause, symptoms, ...cause.remedy(symptoms, exam) }] : []
  })
  const isExplained = found.some(({ cause }) => !cause.isLast && cause.level !== 'info')
  return isExplained ? found.filter(({ cause }) => !cause.isLast) : found
}

interface Tried {
  readonly finding: DoctorFinding
  readonly patch?: Patch
}

/** A gain below this is chance, in units of the metric (dB, points). */
const LEAST_GAIN = 0.1

/** Samples that remedies are judged on without evaluation data. */
const SAMPLES = 64

/** Where remedies are tried. */
class Clinic {
  readonly metric: string
  readonly #model: Model
  readonly #options: QuantizeOptions
  readonly #run: Run
  readonly #judge: (made: Produced) => Promise<number>

  static async open(model: Model, options: QuantizeOptions, run: Run): Promise<Clinic> {
    const { evaluation, calibration } = options
    const data = await datasetFor(evaluation?.data ?? calibrationData(calibration), model)
    const metric = evaluation?.metrics?.[0] ?? 'sqnr'
    const samples = evaluation?.samples ?? (evaluation ? undefined : SAMPLES)
    const limit = samples === undefined ? {} : { samples }
    return new Clinic(model, options, run, metric, async ({ model: quantized, execution: { load } }) => {
      const common = { engine: run.engine, data, load, against: model, metrics: [metric], ...limit, ...run.signal }
      const { metrics } = await score(quantized, common)
      return metrics[metric] ?? Number.NaN
    })
  }

  private constructor(
    model: Model,
    options: QuantizeOptions,
    run: Run,
    metric: string,
    judge: (made: Produced) => Promise<number>,
  ) {
    this.metric = metric
    this.#model = model
    this.#options = options
    this.#run = run
    this.#judge = judge
  }

  score(made: Produced): Promise<number> {
    return this.#judge(made)
  }

  async tryAlone({ name, cause, symptoms, text, patch }: Case, before: number): Promise<Tried> {
    const { title, explanation, level } = cause
    const finding: DoctorFinding = {
      cause: name,
      title,
      explanation,
      level: symptoms[0]?.level ?? level,
      symptoms,
      fix: text,
    }
    if (!patch || patchText(patch) === '') return { finding }
    const flags = patchText(patch)
    try {
      const after = await this.#judge(await this.#produce(patch))
      return { finding: { ...finding, flags, effect: { metric: this.metric, before, after } }, patch }
    } catch (error) {
      if (!(error instanceof FewbitError)) throw error
      return { finding: { ...finding, flags, failure: error.message } }
    }
  }

  /** Takes remedies in the order of what they gain alone, each if it still helps beside those before. */
  async combine(tried: readonly Tried[], start: { readonly made: Produced; readonly score: number }) {
    const gain = ({ finding: { effect } }: Tried): number => (effect ? effect.after - effect.before : 0)
    const helping = tried.filter((t) => t.patch && gain(t) >= LEAST_GAIN).sort((a, b) => gain(b) - gain(a))
    let best = start
    let patch: Patch = {}
    const causes: CauseName[] = []
    for (const { finding, patch: more = {} } of helping) {
      const together = joined(patch, more)
      const made = await this.#produce(together)
      const after = await this.#judge(made)
      if (after < best.score + LEAST_GAIN) continue
      best = { made, score: after }
      patch = together
      causes.push(finding.cause)
    }
    if (causes.length === 0) return { made: best.made, cure: undefined }
    const cure = { metric: this.metric, before: start.score, after: best.score, causes, flags: patchText(patch) }
    return { made: best.made, cure }
  }

  #produce(patch: Patch): Promise<Produced> {
    return produce(this.#model, patched(this.#options, patch), this.#run)
  }
}
