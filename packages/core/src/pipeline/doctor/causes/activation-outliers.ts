import { activationsOf, atBits, type Cause, placeOf, roundingSqnr } from '../cause.ts'
import { isFixed } from './vanishing-values.ts'

/** Rounding of normally distributed values over their extremes leaves about 39 dB at 8 bits; 30 dB are a range three times as wide. */
const LEAST_SQNR = 30
/** A normal distribution has 3, a Laplace distribution 6. */
const HEAVY_TAILS = 10

export const activationOutliers: Cause = {
  name: 'activation-outliers',
  title: 'A few large values stretch the range of an activation',
  explanation:
    'The range covers the largest values that were seen, and nearly all others fall on a few codes: the step is large beside their spread.',
  level: 'warning',
  find: (exam) =>
    activationsOf(exam).flatMap((tensor) => {
      // What a tensor loses by sharing a scale is another cause.
      const sqnr = roundingSqnr(tensor) + 20 * Math.log10(tensor.groupRatio ?? 1)
      const limit = atBits(LEAST_SQNR, tensor.quantization?.bits)
      if (isFixed(tensor, exam) || sqnr >= limit || tensor.kurtosis < HEAVY_TAILS) return []
      const evidence = {
        kurtosis: tensor.kurtosis,
        'SQNR of rounding (dB)': sqnr,
        'largest magnitude': magnitude(tensor),
      }
      return [{ at: placeOf(tensor), evidence, severity: limit - sqnr }]
    }),
  remedy: () => ({ text: 'leave the largest values out of the range', patch: { observer: 'percentile' } }),
}

const magnitude = ({ min, max }: { min: number; max: number }): number => Math.max(Math.abs(min), Math.abs(max))
