import {
  type BatchOutputs,
  type METRICS,
  type Metric,
  metricNamed,
  metricText,
  runOver,
  type ScoredSample,
  scoredSamples,
} from '../analysis/index.ts'
import type { Dataset, Engine, LoadOptions } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import { type Diagnostic, problem } from '../util/index.ts'
import { lookAt } from './data.ts'
import { loadOptionsFor } from './execution.ts'
import { recordedInputs } from './recipe.ts'
import { Run, type RunOptions } from './run.ts'

export interface EvaluateOptions extends RunOptions {
  readonly data: Dataset
  /**
   * Metric names. Default: top1 and top5 where there are labels; sqnr, cosine and agreement where there is a reference. An
   * empty list only takes the time.
   */
  readonly metrics?: readonly string[]
  /** The float model to compare outputs with. */
  readonly against?: Model
  /** At most this many samples; all by default. */
  readonly samples?: number
  readonly batchSize?: number
  readonly load?: LoadOptions
}

export interface Evaluation {
  readonly data: string
  readonly samples: number
  /** By metric name, in the metric's unit. */
  readonly metrics: Readonly<Record<string, number>>
  /** Of the model's runs alone, without loading it or reading data. */
  readonly secondsPerSample: number
  readonly synthetic: boolean
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Runs a model over data and scores its outputs.
 * @throws FewbitError EVALUATE_METRICS when nothing can be scored; EVALUATE_LABELS for labels outside the outputs;
 * EVALUATE_AGAINST when a metric needs a reference model; DATA_* from the data.
 */
export async function evaluate(model: Model, options: EvaluateOptions): Promise<Evaluation> {
  const run = new Run(options)
  await run.stage('check data', () => lookAt(model, options.data, run, recordedInputs(model)))
  return score(model, options, run)
}

/**
 * The same without looking at the data first: for data that have been looked at.
 * @param about what is scored, for those who watch.
 */
export async function score(
  model: Model,
  options: EvaluateOptions,
  run = new Run(options),
  about?: string,
): Promise<Evaluation> {
  const scores = new Scores(options)
  const time = { seconds: 0 }
  await run.stage('evaluate', async (onProgress) => {
    const settings = evaluationRun(options, run.engine)
    const reference = options.against && eachSample(runOver(options.against, settings))
    try {
      for await (const sample of eachSample(
        runOver(model, { ...settings, load: options.load ?? loadOptionsFor(model, run), onProgress }),
        time,
      )) {
        const beside = await reference?.next()
        scores.add({ ...sample, reference: beside?.value?.outputs })
      }
    } finally {
      await reference?.return(undefined)
    }
    onProgress(scores.samples, scores.samples, scoresNote(scores.values(), about))
  })
  return {
    data: options.data.name,
    samples: scores.samples,
    metrics: scores.values(),
    secondsPerSample: time.seconds / Math.max(1, scores.samples),
    synthetic: options.data.synthetic ?? false,
    diagnostics: run.diagnostics.list,
  }
}

/** What people wait for; nothing where there is nothing to say. */
function scoresNote(scores: Readonly<Record<string, number>>, about: string | undefined): string | undefined {
  const parts = Object.entries(scores).map(([name, value]) => `${name} ${metricText(name, value)}`)
  return parts.length > 0 ? [...(about === undefined ? [] : [about]), ...parts].join(', ') : undefined
}

function evaluationRun(options: EvaluateOptions, engine: Engine) {
  return {
    engine,
    data: options.data,
    batchSize: options.batchSize ?? 32,
    ...(options.samples === undefined ? {} : { limit: options.samples }),
    ...(options.signal ? { signal: options.signal } : {}),
  }
}

/** Sample by sample, because two models may take batches of different sizes. Adds up the time that the model ran. */
async function* eachSample(
  results: AsyncIterable<BatchOutputs>,
  time = { seconds: 0 },
): AsyncGenerator<ScoredSample, undefined> {
  for await (const result of results) {
    time.seconds += result.seconds
    yield* scoredSamples(result)
  }
}

/** The metrics of one evaluation. Which ones is decided at the first sample, when it is known whether there are labels. */
class Scores {
  samples = 0
  #metrics: Map<string, Metric> | undefined
  readonly #options: EvaluateOptions

  constructor(options: EvaluateOptions) {
    this.#options = options
    for (const name of options.metrics ?? []) {
      if (metricNamed(name).needs === 'reference' && !options.against) throw noReference(name)
    }
  }

  add(sample: ScoredSample): void {
    this.#metrics ??= this.#choose(sample.label !== undefined, Object.values(sample.outputs)[0]?.size ?? 0)
    for (const metric of this.#metrics.values()) metric.add(sample)
    this.samples++
  }

  values(): Record<string, number> {
    return Object.fromEntries([...(this.#metrics ?? [])].map(([name, metric]) => [name, metric.value()]))
  }

  #choose(labelled: boolean, classes: number): Map<string, Metric> {
    const { metrics, against } = this.#options
    const names = metrics ?? defaultMetrics(labelled, against !== undefined, classes)
    if (names.length === 0 && !metrics) {
      throw problem('EVALUATE_METRICS', 'the data has no labels and no reference model is given: nothing to score', {
        fix: 'use class subfolders or labels.csv, or compare with another model through --against float.onnx',
      })
    }
    return new Map(names.map((name) => [name, metricNamed(name).make()]))
  }
}

/** `top5` of ten classes or fewer says little, and agreement of outputs that are not class scores says nothing. */
function defaultMetrics(labelled: boolean, hasReference: boolean, classes: number): (keyof typeof METRICS)[] {
  const accuracy: (keyof typeof METRICS)[] = labelled ? (classes > 10 ? ['top1', 'top5'] : ['top1']) : []
  return hasReference ? [...accuracy, 'sqnr', 'cosine', ...(labelled ? (['agreement'] as const) : [])] : accuracy
}

const noReference = (metric: string) =>
  problem('EVALUATE_AGAINST', `the metric "${metric}" compares with another model`, {
    at: { option: 'metric' },
    fix: 'name it with --against float.onnx',
  })
