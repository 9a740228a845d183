import type { TensorReport } from '../../../analysis/index.ts'
import type { QuantPlan } from '../../../quant/index.ts'
import { activationsOf, type Cause, type Examination, placeOf, roundingSqnr, type Symptom } from '../cause.ts'

/** Below this the values hardly differ from noise, in dB. */
const LEAST_SQNR = 15

/** The range is the operator's: Softmax and Sigmoid give 0 to 1, whatever the data. */
export const isFixed = ({ value }: TensorReport, { plan }: Examination): boolean =>
  plan.tensors.some((tensor) => tensor.value === value && tensor.source.kind === 'fixed')

export const vanishingValues: Cause = {
  name: 'vanishing-values',
  title: 'Most values of an activation are smaller than a step',
  explanation:
    'Shares of many classes are small beside the range from 0 to 1 that the operator has, and fall on the code of zero. What orders the classes is lost.',
  level: 'warning',
  find: (exam) =>
    activationsOf(exam).flatMap((tensor) => {
      const sqnr = roundingSqnr(tensor)
      if (!isFixed(tensor, exam) || sqnr >= LEAST_SQNR) return []
      const { zeros = 0 } = tensor
      return [
        {
          at: placeOf(tensor),
          evidence: { 'share on the code of zero': zeros, 'SQNR of rounding (dB)': sqnr },
          severity: -sqnr,
        },
      ]
    }),
  remedy: (symptoms, { target, plan }) =>
    target.fallback === 'none'
      ? { text: 'end the network before this operator, and compute what follows in float' }
      : { text: 'keep what reads them in float', patch: { floatNodes: readersOf(symptoms, plan) } },
}

const readersOf = (symptoms: readonly Symptom[], { tensors }: QuantPlan): string[] => [
  ...new Set(symptoms.flatMap(({ at }) => tensors.find(({ value }) => value === at.value)?.readers ?? [])),
]
