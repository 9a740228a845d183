import type { OptionsOf } from '../../util/index.ts'
import type { UnitSize } from './units.ts'

/** What all algorithms that reconstruct outputs by gradient descent have in common. */
export interface ReconstructionOptions {
  readonly granularity: UnitSize
  readonly depth: number
  readonly iterations: number
  readonly batch: number
  readonly learningRate: number
  readonly scaleRate: number
  readonly biasRate: number
  readonly p: number
  readonly fisher: 'none' | 'diagonal'
}

/** Of those that learn whether weights go up or down. */
export interface RoundingOptions extends ReconstructionOptions {
  readonly regularization: number
  readonly warmStart: number
}

export const RECONSTRUCTION_OPTIONS = {
  granularity: {
    summary:
      'what is reconstructed at a time: single layers; blocks, which residual connections span, and single layers elsewhere; or the whole network',
    default: 'block',
    choices: ['layer', 'block', 'net'],
  },
  depth: {
    summary: 'layers behind each other that a block may have; deeper ones are done layer by layer',
    default: 6,
    least: 1,
  },
  iterations: { summary: 'steps of gradient descent for each unit', default: 2000, least: 1 },
  batch: { summary: 'samples of each step', default: 32, least: 1 },
  learningRate: { summary: 'step size of Adam for weights', default: 0.01, least: 0 },
  scaleRate: {
    summary:
      'step size of Adam for scales of activations, as a share of each at the start; falls to 0 along a cosine; 0 leaves them',
    default: 0.001,
    least: 0,
  },
  biasRate: {
    summary: 'step size of Adam for biases, as a share of their size; falls to 0 along a cosine; 0 leaves them',
    default: 0,
    least: 0,
  },
  p: { summary: 'the power of differences that is summed', default: 2, least: 1 },
  fisher: {
    summary: 'what squared differences are weighed with: nothing, or the squared gradients of what the network says',
    default: 'none',
    choices: ['none', 'diagonal'],
  },
} satisfies OptionsOf<ReconstructionOptions>

export const ROUNDING_OPTIONS = {
  ...RECONSTRUCTION_OPTIONS,
  regularization: { summary: 'weight of the term that drives codes to a decision', default: 0.01, least: 0 },
  warmStart: { summary: 'share of the steps before that term sets in', default: 0.2, least: 0, most: 0.9 },
} satisfies OptionsOf<RoundingOptions>
