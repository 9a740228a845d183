import type { FloatAlgorithm } from './algorithm.ts'
import {
  type ChannelGraph,
  channelGraph,
  classRange,
  scaleChannels,
  scaleNorms,
  weightRanges,
} from './channels/index.ts'

export interface CleOptions {
  /** Sweeps over the network at most. */
  readonly iterations: number
  /** Channels whose weights lie below this share of their layer's largest are left alone. */
  readonly threshold: number
}

/** Largest step, in natural logarithms of a factor, at which a sweep has found nothing to do. */
const CONVERGED = 1e-4

/**
 * Cross-layer equalization (Nagel et al. 2019, arXiv:1906.04721, section 4.1). Where ReLU-like functions f(s·x) = s·f(x) stand between
 * two layers, channel i of the first may be divided by s_i and the second's weights multiplied by it; with
 *
 *     s_i = √(r1_i · r2_i) / r2_i                                   (equation 11)
 *
 * the ranges r1_i and r2_i of the weights that make and read channel i become equal, and a scale for the whole tensor serves all channels.
 */
export const cle: FloatAlgorithm<CleOptions> = {
  name: 'cle',
  stage: 'float',
  title: 'Cross-layer equalization',
  summary: 'scales channels between layers so that the weights on both sides have equal ranges',
  source: 'Nagel 2019, arXiv:1906.04721',
  options: {
    iterations: { summary: 'sweeps over the network at most', default: 50, least: 1 },
    threshold: {
      summary: 'channels whose weights are below this share of the largest in their layer stay as they are',
      default: 0.01,
      least: 0,
      most: 1,
    },
  },
  needsData: false,
  preserves: 1e-4,
  async apply({ model, ops, norms }, options) {
    const graph = channelGraph(model, ops)
    const { factors, sweeps, channels } = equalize(graph, options)
    const factor = (id: number): number => factors[graph.classes.find(id)] as number
    const changed = scaleChannels(graph, factor)
    const notes = channels === 0 ? ['no channels lie between two layers with constant weights'] : []
    const details = { channels, sweeps }
    scaleNorms(norms, graph, factor)
    return { changed: changed.map(({ name }) => name), notes, details }
  },
}

/**
 * Factors by class that make the ranges on both sides equal. A pair of layers is done at once; longer chains, depthwise layers in the
 * middle and residual stages converge over sweeps (of three layers, to the cube root of the product of their ranges).
 */
export function equalize(graph: ChannelGraph, { iterations, threshold }: CleOptions) {
  const factors = new Float64Array(graph.classes.count).fill(1)
  const chosen = [...weightRanges(graph, threshold)].filter(
    ([, { makers, readers }]) => makers.length > 0 && readers.length > 0,
  )
  let sweeps = 0
  let step = Number.POSITIVE_INFINITY
  while (sweeps < iterations && step > CONVERGED) {
    step = 0
    for (const [id, { makers, readers }] of chosen) {
      // Equation 11 divides what the first layer makes by s: values become 1/s of what they were.
      const wanted = Math.sqrt(classRange(readers, factors, 1) / classRange(makers, factors, -1))
      step = Math.max(step, Math.abs(Math.log(wanted / (factors[id] as number))))
      factors[id] = wanted
    }
    sweeps++
  }
  return { factors, sweeps, channels: chosen.length }
}
