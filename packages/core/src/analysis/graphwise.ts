import {
  type BatchOptions,
  batches,
  type Dataset,
  type Engine,
  type LoadOptions,
  type ModelInput,
  modelInputs,
  type Session,
} from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { problem } from '../util/index.ts'
import { comparisonModel, pairOutput } from './compare-model.ts'
import { ErrorAccumulator, type ErrorMetrics } from './metrics.ts'
import { readSums } from './pair-reducer.ts'
import { pairValues, type ValuePair } from './pairs.ts'

/** Error that has accumulated up to one tensor when the whole network is quantized. */
export interface LayerError extends ErrorMetrics {
  readonly value: string
  readonly node: string
  readonly opType: string
}

export interface GraphwiseOptions extends BatchOptions {
  readonly engine: Engine
  readonly data: Dataset
  readonly ops: OpRegistry
  readonly load?: LoadOptions
  readonly onProgress?: (done: number, total: number | undefined) => void
}

/**
 * Graphwise error of every tensor that both networks have, in the reference's graph order, in one pass over the data.
 * Where the batch axis is fixed and the last batch is not full, the samples that fill it count too.
 * @throws FewbitError ANALYZE_NO_PAIRS if the networks have no tensor name in common; ANALYZE_INPUTS for a candidate that
 * takes other inputs.
 */
export async function graphwiseError(
  reference: Model,
  candidate: Model,
  options: GraphwiseOptions,
): Promise<LayerError[]> {
  requireSameInputs(reference, candidate)
  const pairs = pairValues(reference, candidate, options.ops)
  if (pairs.length === 0) {
    throw problem('ANALYZE_NO_PAIRS', 'the two models have no tensor in common, so their layers cannot be compared', {
      fix: 'compare a quantized model with the float model that it was made from',
    })
  }
  const model = comparisonModel(reference, candidate, pairs)
  const session = await options.engine.load(model, options.load ?? {})
  try {
    return await accumulate(session, modelInputs(model), pairs, options)
  } finally {
    await session.release()
  }
}

function requireSameInputs(reference: Model, candidate: Model): void {
  const names = (model: Model): string[] => modelInputs(model).map((input) => input.name)
  const known = names(reference)
  const other = names(candidate).find((name) => !known.includes(name))
  if (other === undefined) return
  throw problem(
    'ANALYZE_INPUTS',
    `the second model takes an input "${other}", the first one takes ${known.join(', ')}`,
    {
      at: { value: other },
      fix: 'compare a quantized model with the float model that it was made from',
    },
  )
}

async function accumulate(
  session: Session,
  inputs: readonly ModelInput[],
  pairs: readonly ValuePair[],
  options: GraphwiseOptions,
) {
  const errors = pairs.map(() => new ErrorAccumulator())
  const total = Math.min(options.data.length ?? Number.POSITIVE_INFINITY, options.limit ?? Number.POSITIVE_INFINITY)
  let done = 0
  for await (const batch of batches(options.data, inputs, options)) {
    const out = await session.run(batch.feeds)
    errors.forEach((error, i) => {
      error.addSums(readSums(out[pairOutput(i)]?.numbers()))
    })
    done += batch.samples.length
    options.onProgress?.(done, Number.isFinite(total) ? total : undefined)
  }
  return pairs.map(
    ({ node, name }, i): LayerError => ({
      value: name,
      node: node.name,
      opType: node.opType,
      ...(errors[i] as ErrorAccumulator).result(),
    }),
  )
}

/** The layers with the lowest SQNR, worst first; NaN, which a broken layer has, is worse than any number. */
export function worstLayers(errors: readonly LayerError[], count = 5): LayerError[] {
  const rank = ({ sqnr }: LayerError): number => (Number.isNaN(sqnr) ? Number.NEGATIVE_INFINITY : sqnr)
  return [...errors].sort((a, b) => rank(a) - rank(b)).slice(0, count)
}
