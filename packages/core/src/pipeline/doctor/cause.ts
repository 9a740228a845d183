import type { Algorithms } from '../../algorithms/index.ts'
import type { AccumulatorReport, LayerwiseError, OutputMetrics, TensorReport } from '../../analysis/index.ts'
import type { QuantPlan, Target } from '../../quant/index.ts'
import type { Diagnostic, Level } from '../../util/index.ts'
import type { QuantizeSettings } from '../options.ts'
import type { Patch } from '../patch.ts'

/** Everything that was measured of a quantized network: what causes are recognized by. */
export interface Examination {
  readonly target: Target
  readonly settings: QuantizeSettings
  readonly algorithms: Algorithms
  readonly plan: QuantPlan
  readonly tensors: readonly TensorReport[]
  /** With everything else in float, in graph order. */
  readonly layers: readonly LayerwiseError[]
  /** Of the outputs: the whole network, and with weights or activations quantized only. */
  readonly whole: OutputMetrics
  readonly weightsOnly: OutputMetrics
  readonly activationsOnly: OutputMetrics
  readonly accumulators: ReadonlyMap<string, AccumulatorReport>
  /** Share of the error of a layer's output that is a constant in each channel, 0 to 1, by node. */
  readonly shifts: ReadonlyMap<string, number>
  /** What the run said of data and parameters. */
  readonly diagnostics: readonly Diagnostic[]
}

/** One place where a cause was found. */
export interface Symptom {
  readonly at: { readonly node?: string; readonly value?: string }
  /** The figures that speak for it, by name. */
  readonly evidence: Readonly<Record<string, number | string>>
  /** A larger figure is a worse case; symptoms of one cause are ordered by it. */
  readonly severity: number
  readonly level?: Level
}

export interface Remedy {
  /** In words, for what no option does. */
  readonly text: string
  readonly patch?: Patch
}

/** One of the known reasons why a quantized network is bad. */
export interface Cause {
  readonly name: string
  readonly title: string
  /** What happens, in a sentence or two. */
  readonly explanation: string
  readonly level: Level
  /** Named only where no other cause, notes apart, explains what happens. */
  readonly isLast?: true
  find(exam: Examination): readonly Symptom[]
  /** For the symptoms that were found, the worst first. */
  remedy(symptoms: readonly Symptom[], exam: Examination): Remedy
}

/** SQNR in dB that rounding alone leaves: the variance over step²/12. */
export function roundingSqnr({ std, quantization }: TensorReport): number {
  const step = quantization?.scale[0]
  return step === undefined || std === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((12 * std * std) / (step * step))
}

/** What 8 bits can be expected to do, for as many bits as there are: each is worth 6.02 dB. */
export const atBits = (sqnrAt8: number, bits = 8): number => sqnrAt8 - 6.02 * (8 - bits)

export const activationsOf = ({ tensors }: Examination): readonly TensorReport[] =>
  tensors.filter(({ role, quantization }) => role === 'activation' && quantization !== undefined)

export const weightsOf = ({ tensors }: Examination): readonly TensorReport[] =>
  tensors.filter(({ role, quantization }) => role === 'weight' && quantization !== undefined)

export const placeOf = ({ layer, value }: TensorReport): Symptom['at'] => (layer ? { node: layer, value } : { value })

/** The algorithms of these that there are. */
export const requestsFor = (names: readonly string[], { algorithms }: Examination) =>
  names.filter((name) => Object.hasOwn(algorithms, name)).map((name) => ({ name }))

export const layersAt = (symptoms: readonly Symptom[]): string[] => [
  ...new Set(symptoms.flatMap(({ at }) => at.node ?? [])),
]
