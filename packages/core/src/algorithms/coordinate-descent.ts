import type { OptionsOf } from '../util/index.ts'
import type { QuantizedAlgorithm } from './algorithm.ts'
import { descendInTurns, startCodes } from './rounding/choose-codes.ts'
import { roundLayers } from './rounding/round-layers.ts'
import { SHARED_OPTIONS, type SharedOptions } from './rounding/rounding-options.ts'

export interface DescentOptions extends SharedOptions {
  readonly start: 'gptq' | 'nearest'
}

const OPTIONS = {
  ...SHARED_OPTIONS,
  start: {
    summary:
      'gptq: from its codes; nearest: from the nearest ones, which are those of a rounding algorithm before this one',
    default: 'gptq',
    choices: ['gptq', 'nearest'],
  },
} satisfies OptionsOf<DescentOptions>

export const coordinateDescent: QuantizedAlgorithm<DescentOptions> = {
  name: 'coordinate-descent',
  title: 'coordinate descent',
  summary:
    'moves one code at a time to where the layer’s output error is least, until none can be moved for the better',
  source: 'docs/algorithms/coordinate-descent.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  options: OPTIONS,
  apply: (cx, options) =>
    roundLayers(cx, options, async (problem, start, scales) => {
      const codes =
        options.start === 'gptq' ? startCodes(problem, scales, { ...options, activationOrder: true }) : start
      descendInTurns(problem, codes, scales === 'refit')
      return codes
    }),
}
