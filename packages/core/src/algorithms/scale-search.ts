import type { OptionsOf } from '../util/index.ts'
import type { QuantizedAlgorithm } from './algorithm.ts'
import { nearestScales } from './rounding/nearest-scales.ts'
import { roundLayers } from './rounding/round-layers.ts'
import { SHARED_OPTIONS } from './rounding/rounding-options.ts'
import { searchByWeights } from './scale-search/search-by-weights.ts'

export interface ScaleSearchOptions {
  readonly objective: 'output' | 'weights'
  readonly p: number
  readonly bias: boolean
  readonly positions: number
}

const OPTIONS = {
  objective: {
    summary: 'output: least squared error of the layer’s outputs, on data; weights: least error of the weights alone',
    default: 'output',
    choices: ['output', 'weights'],
  },
  p: {
    summary: 'power of the weights’ errors that are added up; 2 is squared error',
    default: 2,
    least: 0.5,
    most: 16,
  },
  bias: SHARED_OPTIONS.bias,
  positions: SHARED_OPTIONS.positions,
} satisfies OptionsOf<ScaleSearchOptions>

export const scaleSearch: QuantizedAlgorithm<ScaleSearchOptions> = {
  name: 'scale-search',
  title: 'Scale search',
  summary:
    'shrinks the scales of weights to where rounding to the nearest errs least, and lets the outermost weights be clipped',
  source: 'docs/algorithms/scale-search.md',
  stage: 'weights',
  needsData: { when: { objective: 'output' } },
  ownBiases: true,
  undoneOnLoss: true,
  options: OPTIONS,
  async apply(cx, { objective, p, bias, positions }) {
    if (objective === 'weights') return searchByWeights(cx, p)
    const { damping } = SHARED_OPTIONS
    const shared = { inputs: 'float', scales: 'search', damping: damping.default, bias, positions } as const
    return roundLayers(cx, shared, async (problem) => nearestScales(problem))
  },
}
