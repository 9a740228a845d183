import type { QuantizedAlgorithm } from './algorithm.ts'
import { descend } from './rounding/descend.ts'
import { roundLayers } from './rounding/round-layers.ts'
import { SHARED_OPTIONS, type SharedOptions } from './rounding/rounding-options.ts'

export const coordinateDescent: QuantizedAlgorithm<SharedOptions> = {
  name: 'coordinate-descent',
  title: 'coordinate descent',
  summary:
    'moves one code at a time to where the layer’s output error is least, until none can be moved for the better',
  source: 'docs/algorithms/coordinate-descent.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  options: SHARED_OPTIONS,
  apply: (cx, options) =>
    roundLayers(cx, options, async (problem, start) => {
      descend(problem, start)
      return start
    }),
}
