import type { TensorReport } from '../../../analysis/index.ts'
import type { QuantPlan } from '../../../quant/index.ts'
import { activationsOf, type Cause, placeOf, roundingSqnr, type Symptom } from '../cause.ts'

/** Clipping that costs less than rounding is what a good observer does; ten times as much is a range that is too tight. */
const TIMES_ROUNDING = 10
/** A tensor with less noise than this is not worth a word, in dB. */
const HARMLESS = 25

export const clippedActivations: Cause = {
  name: 'clipped-activations',
  title: 'The range of an activation is too tight',
  explanation: 'Values outside of the range are cut off, and what is lost there outweighs the finer step inside.',
  level: 'warning',
  find: (exam) =>
    activationsOf(exam).flatMap((tensor) => {
      const sqnr = clippingSqnr(tensor)
      if (sqnr >= HARMLESS || sqnr > roundingSqnr(tensor) - 10 * Math.log10(TIMES_ROUNDING)) return []
      const { saturated = 0 } = tensor
      return [
        {
          at: placeOf(tensor),
          evidence: { 'share cut off': saturated, 'SQNR of clipping (dB)': sqnr },
          severity: -sqnr,
        },
      ]
    }),
  remedy: (symptoms, { settings, plan }) =>
    settings.observer === 'auto'
      ? {
          text: 'take these ranges from the extremes',
          patch: { overrides: makersOf(symptoms, plan).map((name) => ({ match: { name }, observer: 'minmax' })) },
        }
      : { text: 'let ranges be chosen by measuring', patch: { observer: 'auto' } },
}

/** The nodes that make the tensors, and for inputs of the network those that read them. */
function makersOf(symptoms: readonly Symptom[], plan: QuantPlan): string[] {
  const readers = (value: string | undefined) => plan.tensors.find((tensor) => tensor.value === value)?.readers ?? []
  return [...new Set(symptoms.flatMap(({ at }) => at.node ?? readers(at.value)))]
}

/** Variance over the squared error of values beyond the range, from the bars of the histogram; dB. */
function clippingSqnr({ histogram: { edges, counts }, std, count, quantization }: TensorReport): number {
  if (!quantization || count === 0) return Number.POSITIVE_INFINITY
  const { lo, hi } = quantization
  let noise = 0
  counts.forEach((n, i) => {
    const center = ((edges[i] as number) + (edges[i + 1] as number)) / 2
    noise += n * Math.max(0, center - hi, lo - center) ** 2
  })
  return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((std * std * count) / noise)
}
