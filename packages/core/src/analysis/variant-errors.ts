import {
  type BatchOptions,
  batches,
  type Dataset,
  type Engine,
  type Feeds,
  type LoadOptions,
  modelInputs,
} from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { must } from '../util/index.ts'
import { ErrorAccumulator } from './metrics.ts'
import { readDivergence, readSums } from './pair-reducer.ts'
import type { OutputMetrics } from './report-layer-schema.ts'
import { changedNodes, comparedOutputs, referenceInput, variantResult, variantsModel } from './variants-model.ts'

export interface VariantOptions extends BatchOptions {
  readonly engine: Engine
  readonly data: Dataset
  readonly ops: OpRegistry
  readonly load?: LoadOptions
  /** Nodes of one graph at most, the shared part not counted. Default 1000. */
  readonly nodes?: number
  readonly onProgress?: (done: number, total: number) => void
}

/** An engine's optimizer takes more than linear time, and every graph computes the shared part once more. */
const MAX_NODES = 1000

/**
 * Error of the outputs of variants of a network against those of the network itself: of each output that is a float, and of all together.
 * The float network runs once over the data; then variants that fit into one graph together share what is before their first changes.
 * @param variants each makes a copy of `float` with some of it changed, as `variantsModel` wants it.
 */
export async function variantErrors(
  float: Model,
  variants: readonly (() => Model)[],
  options: VariantOptions,
): Promise<VariantError[]> {
  const feeds = await referenceFeeds(float, options)
  const errors: VariantError[] = []
  for (let from = 0; from < variants.length; ) {
    options.signal?.throwIfAborted()
    const chunk = nextChunk(float, variants.slice(from), options.nodes ?? MAX_NODES)
    errors.push(...(await runChunk(float, chunk, feeds, options)))
    from += chunk.length
    options.onProgress?.(from, variants.length)
  }
  return errors
}

export interface VariantError {
  /** Of all outputs together. */
  readonly all: OutputMetrics
  /** Of each output, by name. */
  readonly outputs: Readonly<Record<string, OutputMetrics>>
}

function nextChunk(float: Model, variants: readonly (() => Model)[], limit: number): Model[] {
  const chunk: Model[] = []
  let nodes = 0
  for (const make of variants) {
    const model = make()
    nodes += changedNodes(float, model)
    if (chunk.length > 0 && nodes > limit) break
    chunk.push(model)
  }
  return chunk
}

/** What the network and its variants are fed: each batch, with the network's own outputs. */
async function referenceFeeds(float: Model, options: VariantOptions): Promise<Feeds[]> {
  const session = await options.engine.load(float, options.load ?? {})
  const compared = comparedOutputs(float)
  const names = float.graph.outputs.map((value) => value.name)
  try {
    const kept: Feeds[] = []
    for await (const { feeds } of batches(options.data, modelInputs(float), options)) {
      const outputs = await session.run(feeds)
      const references = compared.map((j) => [referenceInput(j), must(outputs[names[j] as string], 'output')] as const)
      kept.push({ ...feeds, ...Object.fromEntries(references) })
    }
    return kept
  } finally {
    await session.release()
  }
}

async function runChunk(float: Model, chunk: readonly Model[], feeds: readonly Feeds[], options: VariantOptions) {
  const compared = comparedOutputs(float)
  const names = float.graph.outputs.map((value) => value.name)
  const session = await options.engine.load(variantsModel(float, chunk, options.ops), options.load ?? {})
  const sums = chunk.map(() => new Map(compared.map((j) => [j, new OutputAccumulator()])))
  try {
    for (const batch of feeds) {
      options.signal?.throwIfAborted()
      const out = await session.run(batch)
      sums.forEach((outputs, i) => {
        for (const [j, sum] of outputs) sum.add(out[variantResult(i, j)]?.numbers())
      })
    }
  } finally {
    await session.release()
  }
  return sums.map((outputs): VariantError => {
    const all = new OutputAccumulator()
    for (const sum of outputs.values()) all.merge(sum)
    const each = [...outputs].map(([j, sum]) => [names[j] as string, sum.result()])
    return { all: all.result(), outputs: Object.fromEntries(each) }
  })
}

/** Sums of one output over batches, or of several outputs. */
class OutputAccumulator {
  readonly #parts: ArrayLike<number>[] = []

  add(numbers: ArrayLike<number> = []): void {
    this.#parts.push(numbers)
  }

  merge(other: OutputAccumulator): void {
    this.#parts.push(...other.#parts)
  }

  result(): OutputMetrics {
    const error = new ErrorAccumulator()
    let divergence = 0
    let rows = 0
    for (const part of this.#parts) {
      error.addSums(readSums(part))
      const found = readDivergence(part)
      divergence += found?.divergence ?? 0
      rows += found?.rows ?? 0
    }
    // Rounding may leave a little less than nothing.
    const kl = rows > 0 ? { kl: divergence < 0 ? 0 : divergence / rows } : {}
    return { ...error.result(), ...kl }
  }
}
