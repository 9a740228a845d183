import type { QuantizedAlgorithm } from './algorithm.ts'
import { ROUNDING_OPTIONS, type RoundingOptions, reconstruct } from './reconstruction/index.ts'

export const brecq: QuantizedAlgorithm<RoundingOptions> = {
  name: 'brecq',
  title: 'BRECQ',
  summary: 'learns rounding and activation scales of a block at a time, so that the block’s outputs are those in float',
  source: 'docs/algorithms/brecq.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  resumable: true,
  options: ROUNDING_OPTIONS,
  apply: (cx, options) => {
    const { regularization: weight, warmStart } = options
    return reconstruct(cx, options, { weights: 'rounding', prob: 1, decision: { weight, warmStart } })
  },
}
