import { must } from '../../util/index.ts'
import type { AlgorithmOutcome, QuantizedContext } from '../algorithm.ts'
import {
  type ChannelMeans,
  calibrationBatches,
  floatMeans,
  type LayerMeans,
  meansByLevel,
  quantizedMeans,
} from '../layer-outputs/index.ts'
import type { BiasedLayer } from '../linear-bias.ts'
import { difference, isNoise, moveBias, namesOf, rms } from './layers.ts'

/** What was done to one layer. JSON. */
export interface CorrectedLayer {
  readonly node: string
  /** Root mean square, over channels, of the shift that the bias was moved against; in units of the layer's output. */
  readonly shift: number
  /** True where it would have made the layer's output worse on samples that it was not measured on. */
  readonly reverted: boolean
}

/**
 * Moves each bias by E[y] − E[ŷ], measured on calibration data: float in one pass, quantized level by level, so that a layer's measurement
 * sees the layers before it corrected; or all at once, which is one pass and corrects what earlier layers cause once more in later ones.
 */
export async function correctEmpirically(
  cx: QuantizedContext,
  layers: readonly BiasedLayer[],
  { samples, sequential }: { readonly samples: number; readonly sequential: boolean },
  notes: readonly string[],
): Promise<AlgorithmOutcome> {
  const options = { layers, batches: await calibrationBatches(cx, samples) }
  const float = await floatMeans(cx, options)
  const done: CorrectedLayer[] = []
  for await (const means of sequential ? meansByLevel(cx, options) : atOnce(cx, options)) {
    for (const layer of layers) {
      const { name } = layer.node
      const measured = means.get(name)
      if (measured) done.push(correct(layer, must(float.get(name), `means of "${name}"`), measured, cx))
    }
    cx.progress(done.length, layers.length)
  }
  const reverted = done.filter((layer) => layer.reverted)
  return {
    changed: done.filter((layer) => !layer.reverted).map(({ node }) => node),
    notes: [...notes, ...(reverted.length > 0 ? [revertedNote(reverted)] : [])],
    details: { layers: done },
  }
}

async function* atOnce(
  cx: QuantizedContext,
  options: Parameters<typeof quantizedMeans>[1],
): AsyncGenerator<LayerMeans> {
  yield await quantizedMeans(cx, options)
}

function correct(
  layer: BiasedLayer,
  float: ChannelMeans,
  quantized: ChannelMeans,
  cx: QuantizedContext,
): CorrectedLayer {
  const shift = difference(float.mean, quantized.mean)
  const reverted = isNoise(float, quantized) || !shift.every(Number.isFinite)
  if (!reverted) moveBias(layer, shift, cx)
  return { node: layer.node.name, shift: rms(shift), reverted }
}

const revertedNote = (layers: readonly CorrectedLayer[]): string =>
  `left alone, because the shift differs from one half of the samples to the other: ${namesOf(layers)}`
