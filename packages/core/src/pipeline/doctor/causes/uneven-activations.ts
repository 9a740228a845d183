import { activationsOf, atBits, type Cause, placeOf, requestsFor, roundingSqnr } from '../cause.ts'
import { unevenness } from './unevenness.ts'

/** The middle channel has a sixteenth of the range: four of eight bits. */
const RATIO = 16
/** Channels that are small may carry little; where rounding costs nothing, uneven channels are none of our business. */
const LEAST_SQNR = 40

export const unevenActivations: Cause = {
  name: 'uneven-activations',
  title: 'Channels of an activation have very different ranges',
  explanation:
    'Activations have one scale for all channels. The largest sets it, and the others are left with a few codes.',
  level: 'warning',
  find: (exam) =>
    activationsOf(exam).flatMap((tensor) => {
      const ratio = unevenness(tensor)
      if (ratio < RATIO || roundingSqnr(tensor) >= atBits(LEAST_SQNR, tensor.quantization?.bits)) return []
      return [{ at: placeOf(tensor), evidence: { 'largest range ÷ middle one': ratio }, severity: ratio }]
    }),
  remedy: (_, exam) => ({
    text: 'scale channels so that their ranges are equal, and the next layer’s weights the other way',
    patch: { algorithms: requestsFor(['activation-equalization', 'smoothquant'], exam) },
  }),
}
