import { graphwiseError, type LayerError, metricNamed, worstLayers } from '../analysis/index.ts'
import type { Dataset } from '../engine/index.ts'
import { type Model, modelBytes } from '../ir/index.ts'
import { type PlanSummary, type QuantPlan, summarizePlan } from '../quant/index.ts'
import type { AlgorithmRecord } from './algorithms.ts'
import { datasetFor } from './data.ts'
import { type EvaluateOptions, type Evaluation, score } from './evaluate.ts'
import type { Execution } from './execution.ts'
import { type Latency, measureLatency } from './latency.ts'
import type { QuantizeOptions } from './quantize.ts'
import type { Run } from './run.ts'
import type { Choice } from './search.ts'
import { slowdownCause } from './slowdown.ts'

/** Everything measured in one run, and only that. JSON. */
export interface QuantizeReport {
  /** Of the float file, and of the quantized one where the engine's backend reads it: a simulation's size says nothing. */
  readonly bytes: { readonly before: number; readonly after?: number }
  readonly plan: PlanSummary
  readonly choice: Choice
  /** What algorithms did, in the order in which they ran. */
  readonly algorithms: readonly AlgorithmRecord[]
  /** Graphwise error of each tensor, in graph order. */
  readonly layers: readonly LayerError[]
  readonly worst: readonly LayerError[]
  readonly calibration: {
    readonly data: string
    readonly samples: number
    readonly synthetic: boolean
    readonly dataFree?: true
  }
  /** Errors of the outputs against float on the calibration data; of a data-free run, none. */
  readonly fidelity: Evaluation
  /** Scores on the evaluation data, if there are any. */
  readonly evaluation?: { readonly before: Evaluation; readonly after: Evaluation }
  /** Absent for a backend that the engine only simulates. */
  readonly latency?: Latency
  /** Why quantized is slower than float here, if it is. */
  readonly slowdown?: string
  readonly seconds: Readonly<Record<string, number>>
}

export interface Measured {
  readonly original: Model
  /** The prepared float network. */
  readonly float: Model
  readonly quantized: Model
  readonly plan: QuantPlan
  readonly choice: Choice
  readonly algorithms: readonly AlgorithmRecord[]
  readonly data: Dataset
  readonly batchSize: number
  /** Calibration samples asked for. */
  readonly samples: number
  readonly options: QuantizeOptions
  readonly execution: Execution
  readonly dataFree?: true
}

/** Samples for layer errors and output fidelity. */
const ANALYSIS_SAMPLES = 32

/** Measures what quantization cost and bought. */
export async function measure(m: Measured, run: Run): Promise<QuantizeReport> {
  const { layers, fidelity } = m.dataFree ? unmeasured(m.data) : await onCalibration(m, run)
  const evaluation = await evaluateBoth(m, run)
  const timed = m.execution.isBackend && !m.dataFree
  const latency = timed
    ? await run.stage('time', () => measureLatency(m.original, m.quantized, m.data, commonOptions(m, run)))
    : undefined
  const slowdown = latency && slowdownCause(latency, m.plan)
  return {
    bytes: { before: modelBytes(m.original), ...(m.execution.isBackend ? { after: modelBytes(m.quantized) } : {}) },
    plan: summarizePlan(m.plan),
    choice: m.choice,
    algorithms: m.algorithms,
    layers,
    worst: worstLayers(layers),
    calibration: {
      data: m.data.name,
      samples: Math.min(m.samples, m.data.length ?? m.samples),
      synthetic: m.data.synthetic ?? false,
      ...(m.dataFree ? { dataFree: true as const } : {}),
    },
    fidelity,
    ...(evaluation ? { evaluation } : {}),
    ...(latency ? { latency } : {}),
    ...(slowdown === undefined ? {} : { slowdown }),
    seconds: run.seconds,
  }
}

const commonOptions = (m: Measured, { engine, signal }: Run) => ({
  engine,
  data: m.data,
  batchSize: m.batchSize,
  ...signal,
})

/** Errors on the data that calibration read. */
async function onCalibration(m: Measured, run: Run) {
  const { load } = m.execution
  const common = commonOptions(m, run)
  // Both networks and all differences are alive in one run here.
  const batchSize = Math.ceil(m.batchSize / 8)
  const layers = await run.stage('analyze', (onProgress) =>
    graphwiseError(m.float, m.quantized, {
      ...common,
      load,
      batchSize,
      ops: run.ops,
      limit: ANALYSIS_SAMPLES,
      onProgress,
    }),
  )
  const errors = { against: m.float, metrics: ['sqnr', 'cosine', 'max-error'], samples: ANALYSIS_SAMPLES }
  const fidelity = await scoreAs('compare outputs', m.quantized, { ...common, ...errors, load }, run)
  return { layers, fidelity }
}

/** Without data nothing is known of errors. */
const unmeasured = ({ name }: Dataset): { layers: LayerError[]; fidelity: Evaluation } => ({
  layers: [],
  fidelity: { data: name, samples: 0, metrics: {}, secondsPerSample: 0, synthetic: false, diagnostics: [] },
})

/** Scores of the float and the quantized network on evaluation data, where there are any. */
export async function evaluateBoth(
  m: Pick<Measured, 'original' | 'quantized' | 'execution'> & { readonly options: Pick<QuantizeOptions, 'evaluation'> },
  run: Run,
) {
  const wanted = m.options.evaluation
  if (!wanted) return undefined
  const data = await datasetFor(wanted.data, m.original)
  const { metrics, samples } = wanted
  const common = { engine: run.engine, data, ...run.signal, ...(samples === undefined ? {} : { samples }) }
  const plain = metrics?.filter((name) => !needsReference(name)) ?? ((await isLabelled(data)) ? undefined : [])
  const before = await scoreAs('evaluate float', m.original, { ...common, ...(plain ? { metrics: plain } : {}) }, run)
  const both = { ...common, ...(metrics ? { metrics } : {}), against: m.original, load: m.execution.load }
  const after = await scoreAs('evaluate', m.quantized, both, run)
  return { before, after }
}

/** Scores as a stage of the run, so that its time and progress are reported with the others. */
function scoreAs(stage: string, model: Model, options: EvaluateOptions, run: Run): Promise<Evaluation> {
  return run.stage(stage, (progress) =>
    score(model, {
      ...options,
      onProgress: ({ done, total }) => {
        if (done !== undefined) progress(done, total)
      },
    }),
  )
}

const needsReference = (name: string): boolean => metricNamed(name).needs === 'reference'

async function isLabelled(data: Dataset): Promise<boolean> {
  for await (const sample of data.samples()) return sample.label !== undefined
  return false
}
