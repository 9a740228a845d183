import { metricNamed } from '../../analysis/index.ts'
import type { LoadOptions } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import { problem } from '../../util/index.ts'
import { datasetFor } from '../data.ts'
import { score } from '../evaluate.ts'
import type { QuantizeOptions } from '../quantize.ts'
import type { Run } from '../run.ts'

/** How much a score may lose: so many of its units (points for percentages, dB, …), or a share of the float network's score. */
export type MaxDrop = { readonly units: number } | { readonly percent: number }

/** A score that no built-in metric computes, such as the average precision of boxes. */
export interface CustomMetric {
  readonly name: string
  readonly higherIsBetter: boolean
  score(model: Model, load: LoadOptions): Promise<number>
}

/** What is held: the metric, how models are scored by it, and the float network's own score. */
export interface Judgement {
  readonly metric: string
  readonly higherIsBetter: boolean
  readonly float: number
  readonly allowed: number
  score(model: Model, load: LoadOptions): Promise<number>
}

/**
 * Reads `0.5` (units of the metric) or `1%` (of the float score).
 * @throws FewbitError MAX_DROP
 */
export function parseMaxDrop(text: string): MaxDrop {
  const [, number, sign] = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(text) ?? []
  if (number === undefined) {
    throw problem('MAX_DROP', `"${text}" is not a drop`, {
      at: { option: 'max-drop' },
      fix: 'write a number in units of the metric, such as 0.5, or a share of the float score, such as 1%',
    })
  }
  return sign ? { percent: Number(number) } : { units: Number(number) }
}

/**
 * Scores the float network, from which the floor follows.
 * @throws FewbitError LADDER_DATA without evaluation data; LADDER_METRIC for a metric of which the float network has no finite score.
 */
export async function judgement(
  model: Model,
  metric: string | CustomMetric | undefined,
  maxDrop: MaxDrop,
  options: Pick<QuantizeOptions, 'evaluation'>,
  run: Run,
): Promise<Judgement> {
  const judge = typeof metric === 'object' ? metric : await namedMetric(model, metric, options, run)
  const float = await judge.score(model, {})
  if (!Number.isFinite(float)) {
    throw problem('LADDER_METRIC', `the float network scores ${float} by ${judge.name}, from which nothing can drop`, {
      at: { option: 'metric' },
      fix: 'hold top1 where there are labels, agreement where there are none',
    })
  }
  const allowed = 'units' in maxDrop ? maxDrop.units : (Math.abs(float) * maxDrop.percent) / 100
  const { name, higherIsBetter } = judge
  return { metric: name, higherIsBetter, float, allowed, score: (m, load) => judge.score(m, load) }
}

/** How much worse than float, in units of the metric; negative where better. */
export const dropOf = ({ float, higherIsBetter }: Judgement, value: number): number =>
  Number.isNaN(value) ? Number.POSITIVE_INFINITY : higherIsBetter ? float - value : value - float

/** Scores in percent are sums of hits: 0.3 points of 1000 samples must not fail by the last bit of a division. */
const ROUNDING = 1e-9

export const isMet = (judge: Judgement, value: number): boolean => dropOf(judge, value) <= judge.allowed + ROUNDING

async function namedMetric(
  model: Model,
  name: string | undefined,
  { evaluation }: Pick<QuantizeOptions, 'evaluation'>,
  run: Run,
): Promise<CustomMetric> {
  if (!evaluation) {
    throw problem('LADDER_DATA', 'a floor needs evaluation data to hold it on', {
      at: { option: 'eval-data' },
      fix: 'name data other than the calibration data with --eval-data',
    })
  }
  const data = await datasetFor(evaluation.data, model)
  const metric = name ?? evaluation.metrics?.[0] ?? 'top1'
  const { needs, higherIsBetter } = metricNamed(metric)
  const against = needs === 'reference' ? { against: model } : {}
  const { samples } = evaluation
  const limit = samples === undefined ? {} : { samples }
  return {
    name: metric,
    higherIsBetter,
    async score(candidate, load) {
      const options = { engine: run.engine, data, metrics: [metric], load, ...against, ...limit, ...run.signal }
      const { metrics } = await score(candidate, options, run)
      return metrics[metric] ?? Number.NaN
    },
  }
}
