import type { QuantizedAlgorithm } from './algorithm.ts'
import { RECONSTRUCTION_OPTIONS, type ReconstructionOptions, reconstruct } from './reconstruction/index.ts'

export const adaquant: QuantizedAlgorithm<ReconstructionOptions> = {
  name: 'adaquant',
  title: 'AdaQuant',
  summary: 'learns weights, biases and all scales of a layer at a time, with gradients straight through the rounding',
  source: 'docs/algorithms/adaquant.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  resumable: true,
  options: {
    ...RECONSTRUCTION_OPTIONS,
    granularity: { ...RECONSTRUCTION_OPTIONS.granularity, default: 'layer' },
    learningRate: {
      ...RECONSTRUCTION_OPTIONS.learningRate,
      summary: 'step size of Adam for weights, in steps of their grid',
    },
    biasRate: { ...RECONSTRUCTION_OPTIONS.biasRate, default: 0.001 },
  },
  apply: (cx, options) => reconstruct(cx, options, { weights: 'straight-through', prob: 1 }),
}
