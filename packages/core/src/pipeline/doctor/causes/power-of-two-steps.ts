import { activationsOf, type Cause } from '../cause.ts'

const GOOD = 25

export const powerOfTwoSteps: Cause = {
  name: 'power-of-two-steps',
  title: 'Scales that are powers of two waste codes',
  explanation:
    'The backend shifts instead of multiplying. A scale may then be up to twice as coarse as the range needs.',
  level: 'warning',
  find(exam) {
    const { target, activationsOnly, weightsOnly } = exam
    if (!target.activations.powerOfTwo || activationsOnly.sqnr >= GOOD || weightsOnly.sqnr < activationsOnly.sqnr)
      return []
    const [first] = activationsOf(exam)
    return first
      ? [
          {
            at: {},
            evidence: { 'SQNR with activations quantized only (dB)': activationsOnly.sqnr },
            severity: GOOD - activationsOnly.sqnr,
          },
        ]
      : []
  },
  remedy: () => ({ text: 'search the power of two that suits each tensor', patch: { observer: 'pot-search' } }),
}
