import { runOver } from '../../analysis/index.ts'
import { reduceAxes } from '../../calibration/index.ts'
import type { Dataset } from '../../engine/index.ts'
import { asTensor, cloneModel, GraphBuilder, type Model, valuesByName } from '../../ir/index.ts'
import { inferShapes, PASSES } from '../../passes/index.ts'
import { type BareLayer, bareLayers, type ChannelMoments, insertNorms } from '../../training/index.ts'
import { must } from '../../util/index.ts'
import { type Data, datasetFor } from '../data.ts'
import { Run, type RunOptions } from '../run.ts'

const BATCH = 32

export interface RestoreNormsOptions extends RunOptions {
  /** Samples that the network sees; a few hundred will do. */
  readonly data: Data
}

export interface RestoredNorms {
  readonly model: Model
  /** Layers that have a BatchNormalization now and had none before. */
  readonly layers: readonly string[]
}

/**
 * Published networks have BatchNormalization folded away, and train badly without: a rate that suits the one lets the other diverge. This puts it
 * back, with the moments of each convolution's output over data, so that the network computes what it did. The given model is not changed.
 */
export async function restoreNorms(model: Model, options: RestoreNormsOptions): Promise<RestoredNorms> {
  const run = new Run(options)
  const data = await datasetFor(options.data, model)
  const copy = cloneModel(model)
  PASSES['constant-to-initializer'].run(copy, run.passContext())
  inferShapes(copy, { ops: run.ops })
  const layers = bareLayers(copy)
  const moments = await run.stage('measure layers', (progress) => measured(copy, layers, data, run, progress))
  insertNorms(copy, moments)
  return { model: copy, layers: layers.map(({ node }) => node.name) }
}

type Progress = (done: number, total: number | undefined) => void

async function measured(
  model: Model,
  layers: readonly BareLayer[],
  data: Dataset,
  { engine, signal }: Run,
  onProgress: Progress,
): Promise<Map<BareLayer, ChannelMoments>> {
  if (layers.length === 0) return new Map()
  const probe = cloneModel(model)
  const sums = layers.map((layer) => new MomentSums(layer, probe))
  probe.graph.outputs.splice(0, probe.graph.outputs.length - 2 * layers.length)
  for await (const { batch, outputs } of runOver(probe, { engine, data, batchSize: BATCH, onProgress, ...signal })) {
    const numbers = (name: string) => must(outputs[name], name).numbers()
    for (const sum of sums) sum.add(batch.samples.length, numbers(sum.mean), numbers(sum.square))
  }
  return new Map(sums.map((sum) => [sum.layer, sum.moments()]))
}

/** Means of a layer's output and its squares, over batches. */
class MomentSums {
  readonly layer: BareLayer
  /** Outputs of the probe. */
  readonly mean: string
  readonly square: string
  readonly #sums: Float64Array
  readonly #squares: Float64Array
  #samples = 0

  constructor(layer: BareLayer, probe: Model) {
    this.layer = layer
    this.#sums = new Float64Array(layer.channels)
    this.#squares = new Float64Array(layer.channels)
    const builder = new GraphBuilder(probe.graph)
    const value = must(valuesByName(probe.graph).get(layer.output.name), layer.output.name)
    const rank = asTensor(value.type)?.shape?.length ?? 4
    const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1)
    const mean = (of: typeof value) => builder.output(reduceAxes(builder, probe.opset(), 'ReduceMean', of, axes)).name
    this.mean = mean(value)
    this.square = mean(builder.op('Mul', [value, value]))
  }

  add(samples: number, mean: ArrayLike<number>, square: ArrayLike<number>): void {
    this.#samples += samples
    for (let c = 0; c < this.layer.channels; c++) {
      this.#sums[c] = (this.#sums[c] as number) + samples * (mean[c] as number)
      this.#squares[c] = (this.#squares[c] as number) + samples * (square[c] as number)
    }
  }

  moments(): ChannelMoments {
    const mean = this.#sums.map((sum) => sum / this.#samples)
    const variance = this.#squares.map((sum, c) => Math.max(0, sum / this.#samples - (mean[c] as number) ** 2))
    return { mean, variance }
  }
}
