import type { QuantizedAlgorithm } from './algorithm.ts'
import { adjustableLayers, correctAnalytically, correctEmpirically } from './bias-correction/index.ts'

export interface BiasCorrectionOptions {
  readonly method: 'empirical' | 'analytic'
  readonly samples: number
  readonly sequential: boolean
}

/**
 * Quantizing a layer's weights and inputs shifts the mean of each of its output channels, because the errors of a few weights do not
 * cancel; the shift is taken off the bias: b ← b + E[y] − E[ŷ] (Nagel 2019, arXiv:1906.04721, section 4.2 and appendix B).
 */
export const biasCorrection: QuantizedAlgorithm<BiasCorrectionOptions> = {
  name: 'bias-correction',
  title: 'Bias correction',
  stage: 'finish',
  summary: 'moves the bias of each layer so that the means of its output channels are those of float again',
  source: 'Nagel 2019, arXiv:1906.04721, section 4.2',
  needsData: { when: { method: 'empirical' } },
  ownBiases: true,
  undoneOnLoss: true,
  options: {
    method: {
      summary: 'empirical measures means on data, analytic takes them from BatchNormalization and needs no data',
      default: 'empirical',
      choices: ['empirical', 'analytic'],
    },
    samples: { summary: 'calibration samples that the means are taken over', default: 64, least: 1 },
    sequential: { summary: 'measure a layer when those before it are corrected', default: true },
  },
  async apply(cx, options) {
    const { layers, notes } = adjustableLayers(cx)
    if (layers.length === 0) return { changed: [], notes }
    return options.method === 'analytic'
      ? correctAnalytically(cx, layers, notes)
      : correctEmpirically(cx, layers, options, notes)
  },
}
