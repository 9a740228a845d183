import type { OptionsOf } from '../util/index.ts'
import type { QuantizedAlgorithm } from './algorithm.ts'
import { startCodes } from './rounding/choose-codes.ts'
import { refitScales } from './rounding/fit-scales.ts'
import { roundLayers } from './rounding/round-layers.ts'
import { SHARED_OPTIONS, type SharedOptions } from './rounding/rounding-options.ts'

export interface GptqOptions extends SharedOptions {
  readonly activationOrder: boolean
}

const OPTIONS = {
  ...SHARED_OPTIONS,
  activationOrder: { summary: 'inputs with the largest second moment are rounded first', default: true },
} satisfies OptionsOf<GptqOptions>

export const gptq: QuantizedAlgorithm<GptqOptions> = {
  name: 'gptq',
  title: 'GPTQ',
  summary: 'rounds weights one input after the other and lets those that are left make good for the error',
  source: 'docs/algorithms/gptq.md',
  stage: 'weights',
  needsData: true,
  ownBiases: true,
  undoneOnLoss: true,
  options: OPTIONS,
  apply: (cx, options) =>
    roundLayers(cx, options, async (problem, _, scales) => {
      const codes = startCodes(problem, scales, options)
      if (scales === 'refit') refitScales(problem, codes)
      return codes
    }),
}
