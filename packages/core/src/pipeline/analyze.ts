import {
  type AnalysisReport,
  graphwiseError,
  type LayerError,
  type LayerwiseError,
  layerwiseError,
  partsError,
  type QuantizedNetwork,
  reportRequests,
  tensorReports,
  type VariantError,
  type VariantOptions,
  variantErrors,
  worstLayers,
} from '../analysis/index.ts'
import { collectStats } from '../calibration/index.ts'
import type { Dataset } from '../engine/index.ts'
import { hasIntegerKernels, importQuantized } from '../import/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { convertOpset, inferShapes, inferShapesPass, runPasses } from '../passes/index.ts'
import { materialize, requiredOpset } from '../quant/index.ts'
import { type Diagnostic, FewbitError } from '../util/index.ts'
import { analysisReport } from './analysis-report.ts'
import { type Data, datasetFor } from './data.ts'
import { DEFAULT_SAMPLES } from './default-samples.ts'
import { type Evaluation, score } from './evaluate.ts'
import { loadOptionsFor } from './execution.ts'
import { batchSizeFor, macsOnData } from './macs.ts'
import { type Quantization, readNetwork } from './read-network.ts'
import { Run, type RunOptions } from './run.ts'

export interface AnalyzeOptions extends RunOptions {
  readonly data: Dataset
  /** At most this many samples. Default 64. */
  readonly samples?: number
  readonly batchSize?: number
  /**
   * Also the error that each layer makes alone: with only this layer quantized. `split` adds those of its weights and of its activations,
   * for three times the work. Default false.
   */
  readonly layerwise?: boolean | 'split'
  /** Distributions of all quantized tensors, and what their codes make of them. Default true. */
  readonly statistics?: boolean
  /** Scores of both models on data with labels. */
  readonly evaluation?: { readonly data: Data; readonly samples?: number; readonly metrics?: readonly string[] }
  /** How the second model was quantized: what `quantize` returned. By default it is read off the model. */
  readonly quantization?: Quantization
  /** What the report calls the two models. */
  readonly names?: { readonly float: string; readonly quantized: string }
}

export interface Analysis {
  readonly data: string
  readonly samples: number
  /** Graphwise error of every tensor that both models have, in graph order. */
  readonly layers: readonly LayerError[]
  /** The five with the lowest SQNR, worst first. */
  readonly worst: readonly LayerError[]
  readonly synthetic: boolean
  /** All that was found. JSON, described by `analysisSchema`. */
  readonly report: AnalysisReport
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * What quantization did to a network: the error of its outputs; graphwise, how far each tensor of the quantized model is from the float
 * one, errors of all layers before it included; layerwise, what each layer does alone; and distributions of tensors beside their ranges.
 * @throws FewbitError ANALYZE_NO_PAIRS for models without a tensor in common; DATA_* from the data.
 */
export async function analyze(reference: Model, candidate: Model, options: AnalyzeOptions): Promise<Analysis> {
  const run = new Run(options)
  const { data } = options
  const { float, quantized, network, batchSize } = await run.stage('prepare', async () => {
    const [a, b] = await sameOpset(reference, candidate, run)
    const found = await readNetwork(reference, candidate, data, run, options.quantization)
    const batch = options.batchSize ?? batchSizeFor(await macsOnData(a, data, run))
    return { float: a, quantized: inPairs(b, run), network: found, batchSize: batch }
  })
  const limit = options.samples ?? DEFAULT_SAMPLES.analyze
  const load = loadOptionsFor(candidate, run)
  const common = { ...run.signal, engine: run.engine, data, ops: run.ops, load, limit }
  const layers = await run.stage('analyze', (onProgress) =>
    // Both networks and all differences are alive in one run here.
    graphwiseError(float, quantized, { ...common, batchSize: options.batchSize ?? 2, onProgress }),
  )
  const variants: VariantOptions = { ...common, batchSize }
  const [outputs] = await run.stage('compare outputs', () => variantErrors(float, [() => quantized], variants))
  const more = network ? await aboutNetwork(network, variants, options, run) : {}
  const task = await evaluateBoth(reference, candidate, options, run)
  const samples = Math.min(limit, data.length ?? limit)
  const facts = { reference, candidate, options, samples, layers, outputs: outputs as VariantError, network }
  const report = analysisReport({ ...facts, ...more, ...(task ? { task } : {}) }, run)
  return {
    data: data.name,
    samples,
    layers,
    worst: worstLayers(layers),
    synthetic: data.synthetic ?? false,
    report,
    diagnostics: run.diagnostics.list,
  }
}

/** What needs plan and parameters. */
async function aboutNetwork(network: QuantizedNetwork, variants: VariantOptions, options: AnalyzeOptions, run: Run) {
  const { layerwise = false } = options
  const { weightsOnly, activationsOnly } = await run.stage('weights and activations', () =>
    partsError(network, variants),
  )
  const parts = { weightsOnly, activationsOnly }
  const alone: readonly LayerwiseError[] | undefined = layerwise
    ? await run.stage('layers alone', (onProgress) =>
        layerwiseError(network, { ...variants, split: layerwise === 'split', onProgress }),
      )
    : undefined
  const tensors =
    options.statistics === false ? undefined : await run.stage('statistics', () => statistics(network, variants, run))
  return { parts, ...(alone ? { alone } : {}), ...(tensors ? { tensors } : {}) }
}

/** In one pass over the data. A network that makes NaN has errors all the same, but no distributions. */
async function statistics(network: QuantizedNetwork, { data, limit, batchSize }: VariantOptions, run: Run) {
  const options = { ...run.signal, ...(limit ? { samples: limit } : {}), ...(batchSize ? { batchSize } : {}) }
  try {
    const requests = reportRequests(network, run.ops)
    const stats = await collectStats(network.float, run.engine, data, requests, options)
    return tensorReports(network, stats, run.ops)
  } catch (error) {
    if (!(error instanceof FewbitError) || error.code !== 'CALIB_NONFINITE') throw error
    run.diagnostics.list.push(...error.diagnostics.map((d) => ({ ...d, level: 'warning' as const })))
    return undefined
  }
}

export interface TaskScores {
  readonly before: Evaluation
  readonly after: Evaluation
}

async function evaluateBoth(reference: Model, candidate: Model, { evaluation }: AnalyzeOptions, run: Run) {
  if (!evaluation) return undefined
  const data = await datasetFor(evaluation.data, reference)
  const common = { ...evaluation, ...run.signal, engine: run.engine, data }
  const before = await run.stage('evaluate float', () => score(reference, common))
  const load = loadOptionsFor(candidate, run)
  const after = await run.stage('evaluate', () => score(candidate, { ...common, load }))
  return { before, after } satisfies TaskScores
}

/** Copies of both models, typed and at the higher of their opsets, so that they fit into one graph. */
async function sameOpset(reference: Model, candidate: Model, run: Run): Promise<[Model, Model]> {
  const copies: [Model, Model] = [cloneModel(reference), cloneModel(candidate)]
  const opset = Math.max(reference.opset(), candidate.opset(), 13)
  for (const copy of copies) await runPasses(copy, [convertOpset(opset), inferShapesPass], run.passContext())
  return copies
}

/**
 * The tensors of a network of integer kernels are codes under other names. Written with quantizers instead, which the engine fuses to the
 * same kernels, it can be compared layer by layer. What the import cannot hold completely is compared as it is.
 */
function inPairs(quantized: Model, run: Run): Model {
  if (!hasIntegerKernels(quantized)) return quantized
  const { model, plan, params, diagnostics } = importQuantized(quantized, run.ops)
  const isWhole = diagnostics.every((d) => d.level === 'info')
  return isWhole && model.opset() >= requiredOpset(plan) ? typed(materialize(model, plan, params), run) : quantized
}

function typed(model: Model, { ops }: Run): Model {
  inferShapes(model, { ops })
  return model
}
