import { graphwiseError, type LayerError, worstLayers } from '../analysis/index.ts'
import type { Dataset } from '../engine/index.ts'
import { hasIntegerKernels, importQuantized } from '../import/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { convertOpset, inferShapes, inferShapesPass, runPasses } from '../passes/index.ts'
import { materialize, requiredOpset } from '../quant/index.ts'
import type { Diagnostic } from '../util/index.ts'
import { loadOptionsFor } from './execution.ts'
import { Run, type RunOptions } from './run.ts'

export interface AnalyzeOptions extends RunOptions {
  readonly data: Dataset
  /** At most this many samples. Default 64. */
  readonly samples?: number
  readonly batchSize?: number
}

export interface Analysis {
  readonly data: string
  readonly samples: number
  /** Every tensor that both models have, in graph order. */
  readonly layers: readonly LayerError[]
  /** The five with the lowest SQNR, worst first. */
  readonly worst: readonly LayerError[]
  readonly synthetic: boolean
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Graphwise error: how far each layer of the quantized model is from the float model, errors of all layers before it
 * included, in one pass over the data.
 * @throws FewbitError ANALYZE_NO_PAIRS for models without a tensor in common; DATA_* from the data.
 */
export async function analyze(reference: Model, candidate: Model, options: AnalyzeOptions): Promise<Analysis> {
  const run = new Run(options)
  const [a, b] = await run.stage('prepare', async () => {
    const [float, quantized] = await sameOpset(reference, candidate, run)
    return [float, inPairs(quantized, run)] as const
  })
  const limit = options.samples ?? 64
  const layers = await run.stage('analyze', (onProgress) =>
    graphwiseError(a, b, {
      ...run.signal,
      ...batching(options),
      engine: run.engine,
      data: options.data,
      ops: run.ops,
      load: loadOptionsFor(candidate, run),
      limit,
      onProgress,
    }),
  )
  return {
    data: options.data.name,
    samples: Math.min(limit, options.data.length ?? limit),
    layers,
    worst: worstLayers(layers),
    synthetic: options.data.synthetic ?? false,
    diagnostics: run.diagnostics.list,
  }
}

const batching = ({ batchSize }: AnalyzeOptions) => ({ batchSize: batchSize ?? 2 })

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
