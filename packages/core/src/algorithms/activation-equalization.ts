import { must } from '../util/index.ts'
import type { AlgorithmContext, FloatAlgorithm } from './algorithm.ts'
import { channelExtremes } from './channel-statistics.ts'
import {
  type ChannelGraph,
  channelGraph,
  labelledAxes,
  scaleChannels,
  scaleNorms,
  weightRanges,
} from './channels/index.ts'

export interface ActivationEqualizationOptions {
  readonly strength: number
  readonly limit: number
}

/**
 * Gives the channels of an activation equal ranges on the data. A value has one scale for all channels, so that a channel that never gets
 * as large as the others has few codes; scaled up by
 *
 *     t_c = (r / r_c)^strength,   r_c = max |x_c| on the data,   r the geometric mean of all r_c,
 *
 * with the layers around it making up for t, it has as many. Strength 1 makes ranges equal and leaves the whole spread to the weights.
 */
export const activationEqualization: FloatAlgorithm<ActivationEqualizationOptions> = {
  name: 'activation-equalization',
  stage: 'float',
  title: 'Activation equalization',
  summary: 'scales channels between layers so that activations have more equal ranges on the data',
  source: 'PPQ, ActivationEqualizationPass',
  options: {
    strength: { summary: '0 leaves ranges as they are, 1 makes them equal', default: 0.5, least: 0, most: 1 },
    limit: { summary: 'greatest factor that a channel is multiplied or divided by', default: 10, least: 1 },
  },
  needsData: true,
  preserves: 1e-4,
  async apply(cx, { strength, limit }) {
    const graph = channelGraph(cx.model, cx.ops)
    const wanted = await logRatios(graph, cx)
    const factors = new Map([...wanted].map(([id, log]) => [id, clamp(Math.exp(strength * log), limit)]))
    const factor = (id: number): number => factors.get(graph.classes.find(id)) ?? 1
    const changed = scaleChannels(graph, factor)
    scaleNorms(cx.norms, graph, factor)
    return { changed: changed.map(({ name }) => name), details: { channels: factors.size } }
  },
}

const clamp = (x: number, limit: number): number => Math.min(limit, Math.max(1 / limit, x))

/** log(r / r_c) of each class that lies between layers: the mean over the values that it is a channel of. */
async function logRatios(graph: ChannelGraph, cx: AlgorithmContext): Promise<Map<number, number>> {
  const between = new Set(
    [...weightRanges(graph, 0)]
      .filter(([, { makers, readers }]) => makers.length * readers.length > 0)
      .map(([id]) => id),
  )
  const sums = new Map<number, { sum: number; count: number }>()
  for (const [value, { min, max }] of await channelExtremes(cx, labelledAxes(graph))) {
    const logs = max.map((high, c) => Math.log(Math.max(high, -(min[c] as number))))
    const alive = logs.filter(Number.isFinite)
    const mean = alive.reduce((a, b) => a + b, 0) / alive.length
    for (const [c, id] of must(graph.labels.get(value), 'labels').ids.entries()) {
      const root = graph.classes.find(id)
      if (!between.has(root) || !Number.isFinite(logs[c])) continue
      const { sum, count } = sums.get(root) ?? { sum: 0, count: 0 }
      sums.set(root, { sum: sum + mean - (logs[c] as number), count: count + 1 })
    }
  }
  return new Map([...sums].map(([root, { sum, count }]) => [root, sum / count]))
}
