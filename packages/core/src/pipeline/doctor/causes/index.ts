import type { Cause } from '../cause.ts'
import { accumulatorOverflow } from './accumulator-overflow.ts'
import { activationOutliers } from './activation-outliers.ts'
import { biasOverflow } from './bias-overflow.ts'
import { clippedActivations } from './clipped-activations.ts'
import { coarseWeights } from './coarse-weights.ts'
import { deadChannels } from './dead-channels.ts'
import { inputMismatch } from './input-mismatch.ts'
import { mixedRanges } from './mixed-ranges.ts'
import { pairSaturation } from './pair-saturation.ts'
import { powerOfTwoSteps } from './power-of-two-steps.ts'
import { sensitiveLayer } from './sensitive-layer.ts'
import { shiftedMeans } from './shifted-means.ts'
import { unevenActivations } from './uneven-activations.ts'
import { unevenWeights } from './uneven-weights.ts'
import { unusedCodes } from './unused-codes.ts'
import { vanishingValues } from './vanishing-values.ts'

/** Everything that the doctor knows, what spoils all measurements first. */
export const CAUSES = {
  'input-mismatch': inputMismatch,
  'accumulator-overflow': accumulatorOverflow,
  'bias-overflow': biasOverflow,
  'activation-outliers': activationOutliers,
  'clipped-activations': clippedActivations,
  'uneven-weights': unevenWeights,
  'uneven-activations': unevenActivations,
  'mixed-ranges': mixedRanges,
  'vanishing-values': vanishingValues,
  'shifted-means': shiftedMeans,
  'coarse-weights': coarseWeights,
  'power-of-two-steps': powerOfTwoSteps,
  'sensitive-layer': sensitiveLayer,
  'pair-saturation': pairSaturation,
  'unused-codes': unusedCodes,
  'dead-channels': deadChannels,
} satisfies Record<string, Cause>

export type CauseName = keyof typeof CAUSES
