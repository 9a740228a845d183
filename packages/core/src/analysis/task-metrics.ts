import { type Feeds, outputsOf } from '../engine/index.ts'
import { problem } from '../util/index.ts'
import { argmax, ErrorAccumulator, inTopK } from './metrics.ts'
import type { BatchOutputs } from './outputs.ts'

/** What a metric sees of one sample. */
export interface ScoredSample {
  readonly id: string
  readonly label: number | undefined
  readonly outputs: Feeds
  /** The reference model's outputs for the same sample, when one is given. */
  readonly reference: Feeds | undefined
}

/** A running score. `value` is NaN before the first sample. */
export interface Metric {
  add(sample: ScoredSample): void
  value(): number
}

interface MetricDef {
  readonly summary: string
  readonly unit: '%' | 'dB' | ''
  readonly needs: 'labels' | 'reference'
  readonly higherIsBetter: boolean
  make(): Metric
}

/** Accuracy of the first output's largest elements against the label, in percent. */
const topK = (k: number): MetricDef => ({
  summary: `label among the ${k === 1 ? 'largest element' : `${k} largest elements`} of the first output`,
  unit: '%',
  needs: 'labels',
  higherIsBetter: true,
  make: () =>
    share(({ id, label, outputs }) => {
      const scores = firstOutput(outputs)
      if (label === undefined || label >= scores.length || label < 0) throw badLabel(id, label, scores.length)
      return inTopK(scores, label, k)
    }),
})

/** Percentage of samples for which a test holds. */
function share(test: (sample: ScoredSample) => boolean): Metric {
  let hits = 0
  let count = 0
  return {
    add(sample) {
      if (test(sample)) hits++
      count++
    },
    value: () => (count > 0 ? (100 * hits) / count : Number.NaN),
  }
}

/** A figure of the error of all outputs against the reference model's. */
const error = (
  summary: string,
  unit: MetricDef['unit'],
  pick: 'sqnr' | 'cosine' | 'mse' | 'maxAbs',
  higherIsBetter: boolean,
): MetricDef => ({
  summary,
  unit,
  needs: 'reference',
  higherIsBetter,
  make() {
    const sums = new ErrorAccumulator()
    return {
      add({ outputs, reference }) {
        for (const [name, tensor] of Object.entries(reference ?? {})) {
          const candidate = outputs[name]
          if (candidate) sums.add(tensor.numbers(), candidate.numbers())
        }
      },
      value: () => sums.result()[pick],
    }
  },
})

const agreement: MetricDef = {
  summary: 'samples whose first output has its largest element where the reference has it',
  unit: '%',
  needs: 'reference',
  higherIsBetter: true,
  make: () =>
    share(({ outputs, reference }) => argmax(firstOutput(outputs)) === argmax(firstOutput(reference ?? outputs))),
}

export const METRICS = {
  top1: topK(1),
  top5: topK(5),
  sqnr: error('10·log10(Σr² / Σ(c − r)²) over all outputs', 'dB', 'sqnr', true),
  cosine: error('cosine similarity of all outputs', '', 'cosine', true),
  mse: error('mean squared error of all outputs', '', 'mse', false),
  'max-error': error('largest absolute error of any output element', '', 'maxAbs', false),
  agreement,
} satisfies Record<string, MetricDef>

export type MetricName = keyof typeof METRICS

/** @throws FewbitError METRIC_UNKNOWN naming the choices. */
export function metricNamed(name: string): MetricDef {
  const found = Object.hasOwn(METRICS, name) ? METRICS[name as MetricName] : undefined
  if (found) return found
  throw problem('METRIC_UNKNOWN', `there is no metric "${name}"`, {
    at: { option: 'metric' },
    fix: `choose from ${Object.keys(METRICS).join(', ')}`,
  })
}

function firstOutput(outputs: Feeds): Float32Array | Float64Array {
  return Object.values(outputs)[0]?.numbers() ?? new Float32Array()
}

function badLabel(id: string, label: number | undefined, classes: number): Error {
  const what = label === undefined ? 'has no label' : `has label ${label}, but the network has ${classes} outputs`
  return problem('EVALUATE_LABELS', `sample "${id}" ${what}`, {
    fix: 'give labels from 0 to the number of classes − 1 (class folders are numbered in alphabetical order), or use --metric sqnr with --against',
  })
}

/** The samples of one batch with their outputs. */
export function* scoredSamples({ batch, outputs }: Pick<BatchOutputs, 'batch' | 'outputs'>): Generator<ScoredSample> {
  for (const [i, sample] of batch.samples.entries()) {
    yield { id: sample.id, label: sample.label, outputs: outputsOf(outputs, batch, i), reference: undefined }
  }
}
