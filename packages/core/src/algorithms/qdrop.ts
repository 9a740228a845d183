import type { OptionsOf } from '../util/index.ts'
import type { QuantizedAlgorithm } from './algorithm.ts'
import { ROUNDING_OPTIONS, type RoundingOptions, reconstruct } from './reconstruction/index.ts'

export interface QdropOptions extends RoundingOptions {
  readonly prob: number
}

const OPTIONS = {
  ...ROUNDING_OPTIONS,
  prob: {
    summary: 'share of the elements of activations that are quantized in each step; with 1 it is brecq',
    default: 0.5,
    least: 0,
    most: 1,
  },
} satisfies OptionsOf<QdropOptions>

export const qdrop: QuantizedAlgorithm<QdropOptions> = {
  name: 'qdrop',
  title: 'QDrop',
  summary: 'BRECQ with a random part of the activations left in float in each step, which makes for flatter minima',
  source: 'docs/algorithms/qdrop.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  resumable: true,
  options: OPTIONS,
  apply: (cx, options) => {
    const { regularization: weight, warmStart, prob } = options
    return reconstruct(cx, options, { weights: 'rounding', prob, decision: { weight, warmStart } })
  },
}
