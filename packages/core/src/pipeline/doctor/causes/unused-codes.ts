import { activationsOf, type Cause, placeOf } from '../cause.ts'

export const unusedCodes: Cause = {
  name: 'unused-codes',
  title: 'Half of the codes stand for values that do not occur',
  explanation: 'Activations that are never negative have signed codes around zero: one bit is lost.',
  level: 'info',
  find: (exam) =>
    activationsOf(exam).flatMap((tensor) => {
      const { quantization, min, max } = tensor
      if (!quantization?.signed || !quantization.symmetric || min < 0 || max <= 0) return []
      return [
        { at: placeOf(tensor), evidence: { smallest: min, 'lowest code stands for': quantization.lo }, severity: 1 },
      ]
    }),
  remedy: (_, { target }) =>
    target.kernels.activations.includes('uint8')
      ? { text: 'use unsigned codes', patch: { activations: 'unsigned' } }
      : { text: 'the backend has no other codes' },
}
