import { type Cause, requestsFor } from '../cause.ts'

/** Outputs with more signal than this are good enough, in dB. */
const GOOD = 25
const FEW_BITS = 6

export const coarseWeights: Cause = {
  name: 'coarse-weights',
  title: 'Weights have too few bits to be rounded to the nearest code',
  explanation: 'With few codes, rounding each weight by itself makes errors that add up in the sum of a layer.',
  level: 'warning',
  find: ({ tensors, weightsOnly, activationsOnly }) => {
    if (weightsOnly.sqnr >= GOOD || weightsOnly.sqnr > activationsOnly.sqnr) return []
    const few = tensors.filter(({ role, quantization }) => role === 'weight' && (quantization?.bits ?? 8) <= FEW_BITS)
    const [first] = few
    if (!first) return []
    const evidence = {
      'weights with few bits': few.length,
      bits: Math.min(...few.map(({ quantization }) => quantization?.bits ?? 8)),
      'SQNR with weights quantized only (dB)': weightsOnly.sqnr,
      'SQNR with activations quantized only (dB)': activationsOnly.sqnr,
    }
    return [{ at: {}, evidence, severity: GOOD - weightsOnly.sqnr }]
  },
  remedy: (_, exam) => ({
    text: 'round weights by the error of the layer’s output',
    patch: { algorithms: requestsFor(['coordinate-descent', 'bias-correction'], exam) },
  }),
}
