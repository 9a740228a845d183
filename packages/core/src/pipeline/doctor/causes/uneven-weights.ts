import type { Cause } from '../cause.ts'
import { placeOf, requestsFor, weightsOf } from '../cause.ts'
import { unevenness } from './unevenness.ts'

/** The middle channel has at most an eighth of the range, which at 8 bits leaves it 5. */
const RATIO = 8

export const unevenWeights: Cause = {
  name: 'uneven-weights',
  title: 'One scale serves weight channels of very different ranges',
  explanation:
    'The largest channel sets the scale of the whole weight, and the small ones are left with a few codes. Depthwise layers with folded normalization suffer most.',
  level: 'warning',
  find: (exam) =>
    weightsOf(exam).flatMap((tensor) => {
      const ratio = tensor.quantization?.granularity === 'tensor' ? unevenness(tensor) : 1
      return ratio < RATIO
        ? []
        : [{ at: placeOf(tensor), evidence: { 'largest range ÷ middle one': ratio }, severity: ratio }]
    }),
  remedy: (_, exam) =>
    exam.settings.perTensor && exam.target.weights.granularity === 'channel'
      ? { text: 'give each output channel a scale of its own', patch: { perTensor: false } }
      : {
          text: 'equalize the ranges of channels between neighbouring layers',
          patch: { algorithms: requestsFor(['relu6-to-relu', 'cle', 'bias-absorption', 'bias-correction'], exam) },
        },
}
