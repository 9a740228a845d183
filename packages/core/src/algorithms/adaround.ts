import type { OptionsOf } from '../util/index.ts'
import type { QuantizedAlgorithm } from './algorithm.ts'
import { adaroundModel } from './rounding/adaround-graph.ts'
import { adaroundLayer } from './rounding/adaround-layer.ts'
import { refitScales, searchScales } from './rounding/fit-scales.ts'
import { roundLayers } from './rounding/round-layers.ts'
import { SHARED_OPTIONS, type SharedOptions } from './rounding/rounding-options.ts'

export interface AdaroundOptions extends SharedOptions {
  readonly iterations: number
  readonly learningRate: number
  readonly regularization: number
  readonly warmStart: number
}

const OPTIONS = {
  ...SHARED_OPTIONS,
  iterations: { summary: 'steps of gradient descent for each layer', default: 1000, least: 1 },
  learningRate: { summary: 'step size of Adam', default: 0.1, least: 0 },
  regularization: {
    summary:
      'weight of the term that drives codes to a decision, where the error of independent rounding counts 1 for each weight',
    default: 10,
    least: 0,
  },
  warmStart: { summary: 'share of the steps before that term sets in', default: 0.2, least: 0, most: 0.9 },
} satisfies OptionsOf<AdaroundOptions>

export const adaround: QuantizedAlgorithm<AdaroundOptions> = {
  name: 'adaround',
  title: 'AdaRound',
  summary: 'learns by gradient descent which weights go up and which go down',
  source: 'docs/algorithms/adaround.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  options: OPTIONS,
  async apply(cx, options) {
    const session = await cx.engine.load(adaroundModel())
    try {
      return await roundLayers(cx, options, async (problem, _, scales) => {
        if (scales !== 'fixed') searchScales(problem, { ...options, activationOrder: true })
        const codes = await adaroundLayer(problem, session, options, cx.signal)
        if (scales === 'refit') refitScales(problem, codes)
        return codes
      })
    } finally {
      await session.release()
    }
  },
}
