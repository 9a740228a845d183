import type { OptionsOf } from '../../util/index.ts'

/** What all algorithms that round on second moments have in common. */
export interface SharedOptions {
  readonly inputs: 'float' | 'quantized'
  readonly bias: boolean
  readonly scales: 'fixed' | 'search' | 'refit'
  readonly positions: number
  readonly damping: number
}

export const SHARED_OPTIONS = {
  inputs: {
    summary:
      'what a layer’s outputs are compared on: its inputs in the float network, or, layer after layer, what the rounded layers before it make of them',
    default: 'quantized',
    choices: ['float', 'quantized'],
  },
  bias: {
    summary: 'the mean error of each output channel goes into the bias, so that only its variance counts',
    default: true,
  },
  scales: {
    summary:
      'fixed: as they are; search: shrunk as far as the outputs gain by it; refit: that, and then least squares against the codes',
    default: 'refit',
    choices: ['fixed', 'search', 'refit'],
  },
  positions: {
    summary:
      'inputs of a layer that are counted over all samples, about; more positions of feature maps are skipped evenly',
    default: 16384,
    least: 1,
  },
  damping: { summary: 'share of the mean second moment that is added to each', default: 0.01, least: 1e-6, most: 10 },
} satisfies OptionsOf<SharedOptions>
