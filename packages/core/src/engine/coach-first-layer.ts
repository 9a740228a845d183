import { extract, type Model, type Node, type Value } from '../ir/index.ts'
import type { Diagnostics } from '../util/index.ts'
import type { Sample } from './dataset.ts'
import type { Engine, Feeds, Session } from './engine.ts'
import type { ModelInput } from './inputs.ts'
import { addPerChannel, Moments } from './moments.ts'
import { type FirstLayer, firstBiasedConv, firstNorm, type NormLayer } from './norm-statistics.ts'
import { swapChannels } from './swap-channels.ts'

/**
 * Divergence of measured from stored channel statistics above which inputs look wrong. Measured medians: 0.003 to 0.05 with
 * right preprocessing, 0.8 without mean and std, above 1,000 for 0..255 instead of 0..1.
 */
const DIVERGENT = 0.3

/**
 * Reversed colours must fit this much better; smaller divergences than the floor are noise. Measured on networks that look at
 * colour: 4.7 when reversed, 0.2 to 1.1 when right. One that hardly does (a vision transformer on CIFAR-10) reaches 1.5 and
 * is not warned about.
 */
const SWAP_GAIN = 2.5
const SWAP_FLOOR = 0.005

/**
 * Ratio of the first convolution's response to its bias. Folded BatchNorm keeps it near 1 (measured 0.5 to 2); inputs 255
 * times too large or too small leave these bounds on either side.
 */
const TOO_LOUD = 20
const TOO_QUIET = 0.05
/** Biases that are smaller than this part of the weights were never folded from a BatchNorm and tell nothing. */
const TELLING_BIAS = 0.25

/** Elements after which more large pictures would not move a median. */
const ENOUGH = 2 ** 24

/** Compares what the first layer sees with what it was trained on. */
export async function compareWithFirstLayer(
  model: Model,
  inputs: readonly ModelInput[],
  samples: readonly Sample[],
  engine: Engine,
  diagnostics: Diagnostics,
): Promise<void> {
  const norm = firstNorm(model)
  const layer = norm ?? firstBiasedConv(model)
  if (!layer) return
  const session = await loadProbe(model, layer.value, engine)
  try {
    const measured = await measure(
      session,
      layer,
      samples.map((sample) => sample.feeds),
    )
    if (!norm) return reportScale(layer, measured, diagnostics)
    const fit = divergence(norm, measured)
    const swapped = swapChannels(inputs, samples)
    const other = swapped && divergence(norm, await measure(session, layer, swapped))
    reportNorm(norm, fit, other, diagnostics)
  } finally {
    await session.release()
  }
}

/** What leads to the value and nothing behind it: without optimization an engine runs every node that it is given. */
function loadProbe(model: Model, value: Value, engine: Engine): Promise<Session> {
  const fed = model.graph.inputs.filter((input) => !input.constant)
  return engine.load(extract(model, fed, [value]), { optimization: 'none' })
}

async function measure(session: Session, layer: FirstLayer, feeds: readonly Feeds[]): Promise<Moments[]> {
  const moments = Array.from({ length: layer.channels }, () => new Moments())
  let elements = 0
  for (const feed of feeds) {
    const tensor = (await session.run(feed))[layer.value.name]
    if (tensor) addPerChannel(moments, tensor, 1)
    elements += tensor?.size ?? 0
    if (elements > ENOUGH) break
  }
  return moments
}

/** Median over channels of KL(measured ‖ stored), both taken as normal distributions; in nats. */
function divergence(norm: NormLayer, measured: readonly Moments[]): number {
  const perChannel = measured.flatMap((m, c) => {
    const variance = norm.variance[c] ?? 0
    if (variance <= 1e-12) return []
    const ratio = Math.max(m.variance / variance, 1e-12)
    return [0.5 * (ratio + (m.mean - (norm.mean[c] ?? 0)) ** 2 / variance - 1 - Math.log(ratio))]
  })
  return median(perChannel)
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

function reportNorm(norm: NormLayer, fit: number, swapped: number | undefined, diagnostics: Diagnostics): void {
  const data = swapped === undefined ? { divergence: fit } : { divergence: fit, swappedDivergence: swapped }
  const at = { node: norm.node.name }
  if (fit > DIVERGENT) {
    const message = 'inputs do not fit the statistics that the first normalization stored in training'
    diagnostics.warn('DATA_RANGE', message, { at, data, fix: RANGE_FIX })
    return
  }
  if (swapped === undefined || fit < SWAP_FLOOR || fit < SWAP_GAIN * swapped) return
  const message = 'colours in reverse order fit the statistics of the first normalization much better'
  diagnostics.warn('DATA_CHANNEL_ORDER', message, { at, data, fix: 'try the other channel order (rgb or bgr)' })
}

const RANGE_FIX = 'check the preprocessing: scale (1/255 or 1), mean and std, or a preset'

function reportScale(layer: FirstLayer, measured: readonly Moments[], diagnostics: Diagnostics): void {
  const { bias, weight } = layerScale(layer.node)
  if (bias < TELLING_BIAS * weight) return
  const ratio = median(measured.map((m) => m.std)) / bias
  if (ratio < TOO_LOUD && ratio > TOO_QUIET) return
  const size = ratio >= TOO_LOUD ? 'larger' : 'smaller'
  diagnostics.warn(
    'DATA_RANGE',
    `inputs look far ${size} than the first convolution expects: its bias does not match them`,
    {
      at: { node: layer.node.name },
      data: { ratio },
      fix: RANGE_FIX,
    },
  )
}

/** Root mean square of the biases, and of the norms of the filters. */
function layerScale(conv: Node): { bias: number; weight: number } {
  const weights = conv.inputs[1]?.constant?.numbers() ?? []
  const biases = conv.inputs[2]?.constant?.numbers() ?? []
  const channels = Math.max(biases.length, 1)
  return { bias: Math.sqrt(squares(biases) / channels), weight: Math.sqrt(squares(weights) / channels) }
}

function squares(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2
  return sum
}
