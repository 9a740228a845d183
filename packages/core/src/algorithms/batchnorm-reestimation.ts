import { Tensor } from '../ir/index.ts'
import { fakeQuantize, type QuantParams, type TensorPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { QuantizedAlgorithm, QuantizedContext } from './algorithm.ts'
import { adjustableLayers, difference, isNoise, moveBias, namesOf, rms } from './bias-correction/index.ts'
import {
  type ChannelMeans,
  calibrationBatches,
  floatMeans,
  meansByLevel,
  quantizedMeans,
} from './layer-outputs/index.ts'
import type { BiasedLayer } from './linear-bias.ts'

export interface ReestimationOptions {
  readonly samples: number
  readonly sequential: boolean
}

/** What was done to one layer. JSON. */
interface Reestimated {
  readonly node: string
  /** Root mean square of the shifts of means, in units of the layer's output, and of the gains' deviation from one. */
  readonly shift: number
  readonly gain: number
  readonly reverted: boolean
}

/** A gain beyond this is no rounding error: the channel is dead or its statistics are thin. */
const MOST_GAIN = 2

/**
 * Quantization moves the mean and the spread of each channel, and BatchNormalization, folded by then, still assumes those of training.
 * y ← (ŷ − μ̂)·σ/σ̂ + μ, with the float layer's mean and deviation, gives each channel both back. The gain goes into the scales of weights with
 * one for each channel, whose codes stay, and the rest into the bias (BatchNormalization re-estimation: Nagel 2021, arXiv:2106.08295,
 * section 4.2; means alone: Finkelstein 2019, arXiv:1906.03193).
 */
export const batchnormReestimation: QuantizedAlgorithm<ReestimationOptions> = {
  name: 'batchnorm-reestimation',
  title: 'Re-estimation of BatchNormalization',
  stage: 'finish',
  summary: 'gives the output channels of each layer the mean and deviation of float back, in weight scales and biases',
  source: 'Nagel 2021, arXiv:2106.08295, section 4.2; Finkelstein 2019, arXiv:1906.03193',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  options: {
    samples: { summary: 'calibration samples that the statistics are taken over', default: 64, least: 1 },
    sequential: { summary: 'measure a layer when those before it are adjusted', default: true },
  },
  async apply(cx, { samples, sequential }) {
    const { layers, notes } = adjustableLayers(cx)
    if (layers.length === 0) return { changed: [], notes }
    const options = { layers, batches: await calibrationBatches(cx, samples), squares: true }
    const float = await floatMeans(cx, options)
    const done: Reestimated[] = []
    for await (const means of sequential ? meansByLevel(cx, options) : [await quantizedMeans(cx, options)]) {
      for (const layer of layers) {
        const { name } = layer.node
        const measured = means.get(name)
        if (measured) done.push(reestimate(layer, must(float.get(name), `means of "${name}"`), measured, cx))
      }
      cx.progress(done.length, layers.length)
    }
    const [kept, reverted] = [done.filter((l) => !l.reverted), done.filter((l) => l.reverted)]
    const rigid = layers.filter((layer) => !scalable(layer, cx)).map(({ node }) => ({ node: node.name }))
    return {
      changed: kept.map(({ node }) => node),
      notes: [
        ...notes,
        ...(rigid.length > 0
          ? [`one scale for the whole weight: only the mean was adjusted of ${namesOf(rigid)}`]
          : []),
        ...(reverted.length > 0 ? [`left alone, because halves of the samples disagree: ${namesOf(reverted)}`] : []),
      ],
      details: { layers: done },
    }
  },
}

function reestimate(
  layer: BiasedLayer,
  float: ChannelMeans,
  quantized: ChannelMeans,
  cx: QuantizedContext,
): Reestimated {
  const [mean, wanted] = [quantized.mean, float.mean]
  const weight = scalable(layer, cx)
  const gain = weight ? gains(float.variance, quantized.variance) : mean.map(() => 1)
  const bias = must(layer.bias.constant, `bias "${layer.bias.name}"`).numbers()
  const shift = mean.map(
    (m, c) => (gain[c] as number) * ((bias[c] as number) - m) + (wanted[c] as number) - (bias[c] as number),
  )
  const moved = difference(wanted, mean)
  const reverted = isNoise(float, quantized) || !shift.every(Number.isFinite)
  if (!reverted) {
    if (weight) scaleChannels(layer, weight, gain, cx)
    moveBias(layer, shift, cx)
  }
  return { node: layer.node.name, shift: rms(moved), gain: rms(gain.map((g) => g - 1)), reverted }
}

/** σ / σ̂, and 1 for channels that hardly vary. */
function gains(float: Float64Array, quantized: Float64Array): Float64Array {
  const floor = 1e-6 * Math.max(...float)
  return float.map((variance, c) => {
    const gain = Math.sqrt(variance / (quantized[c] as number))
    return variance > floor && gain < MOST_GAIN && gain > 1 / MOST_GAIN ? gain : 1
  })
}

interface ScalableWeight {
  readonly tensor: TensorPlan
  readonly params: QuantParams
}

/** The layer's weight, if it has a free scale for each output channel. */
function scalable(
  { node, weight, channels }: BiasedLayer,
  { plan, params }: QuantizedContext,
): ScalableWeight | undefined {
  const tensor = plan.tensors.find(({ value, readers }) => value === weight.name && readers.includes(node.name))
  const found = tensor && params.get(tensor.group)
  if (!tensor || !found || tensor.readers.length > 1 || found.scale.length !== channels) return undefined
  const { granularity, powerOfTwo, format } = found.spec
  return granularity.kind === 'channel' && !powerOfTwo && !format ? { tensor, params: found } : undefined
}

/** Codes stay: the weights become scale · code on the new scales. */
function scaleChannels(
  { weight }: BiasedLayer,
  { tensor, params }: ScalableWeight,
  gain: Float64Array,
  cx: QuantizedContext,
): void {
  const old = must(weight.constant, `weight "${weight.name}"`)
  const rounded = fakeQuantize(old.numbers(), params, old.dims)
  const scale = params.scale.map((s, c) => Math.fround(s * (gain[c] as number)))
  const { granularity } = params.spec
  const axis = granularity.kind === 'channel' ? granularity.axis : 0
  const inner = old.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  const channelOf = (i: number) => Math.floor(i / inner) % scale.length
  const scaled = rounded.map((w, i) => w * ((scale[channelOf(i)] as number) / (params.scale[channelOf(i)] as number)))
  weight.constant = Tensor.fromNumbers(old.dtype, old.dims, scaled)
  cx.params.set(tensor.group, { ...params, scale })
}
