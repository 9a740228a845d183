import { type AnalysisReport, METRICS, type MetricName, metricText } from '@fewbit/core/analysis'
import { decibel, figure, percent } from '@fewbit/core/util'

export interface Verdict {
  readonly level: 'good' | 'watch' | 'bad'
  readonly sentence: string
}

type Judged = Omit<Verdict, 'sentence'> & { readonly clause: string }

/** What became of the network, in one sentence, judged by scores where there are any and by the noise of the outputs otherwise. */
export function verdict(report: AnalysisReport): Verdict {
  const { level, clause } = scoreClause(report) ?? noiseClause(report)
  const { model } = report
  const ratio = model && model.quantized.bytes > 0 ? model.float.bytes / model.quantized.bytes : undefined
  const size =
    ratio === undefined ? '' : ratio >= 1 ? `is ${times(ratio)} smaller and ` : `is ${times(1 / ratio)} larger and `
  return { level, sentence: `The quantized network ${size}${clause}.` }
}

const times = (ratio: number): string => `${ratio.toFixed(1)} times`

/** Which way a metric improves; METRICS has no entry for those of plugins. */
const improvesUpwards = (name: string): boolean => METRICS[name as MetricName]?.higherIsBetter ?? true

/** A loss relative to the float score: up to 1 % is good, up to 3 % worth watching. */
function scoreClause({ task }: AnalysisReport): Judged | undefined {
  const name = task && Object.keys(task.before).find((key) => task.after[key] !== undefined)
  if (task === undefined || name === undefined) return undefined
  const before = task.before[name] as number
  const after = task.after[name] as number
  const loss = improvesUpwards(name) ? before - after : after - before
  const share = loss / Math.abs(before)
  const level = share <= 0.01 ? 'good' : share <= 0.03 ? 'watch' : 'bad'
  const scores = `${metricText(name, before)} to ${metricText(name, after)}`
  const isPercent = METRICS[name as MetricName]?.unit === '%'
  const lost = isPercent ? `${Math.abs(loss).toFixed(2)} points` : figure(Math.abs(loss))
  const change = loss === 0 ? 'keeps its' : `${loss > 0 ? 'loses' : 'gains'} ${lost} of`
  return {
    level,
    clause: loss === 0 ? `${change} ${name} of ${metricText(name, after)}` : `${change} ${name} (${scores})`,
  }
}

/** 30 dB is a thousandth of the signal's power, 15 dB a thirtieth. */
function noiseClause({ outputs, data }: AnalysisReport): Judged {
  const worst = outputs
    .map(({ metrics }) => metrics.sqnr)
    .reduce((a, b) => (b < a || Number.isNaN(b) ? b : a), Infinity)
  const level = worst >= 30 ? 'good' : worst >= 15 ? 'watch' : 'bad'
  if (Number.isNaN(worst)) return { level, clause: 'is broken: its outputs are not numbers' }
  if (worst === Infinity) return { level, clause: 'computes exactly what the float network does' }
  const noise = percent(10 ** (-worst / 10), worst > 20 ? 2 : 0)
  const doubt = data.synthetic
    ? 'on random data, which says little about real inputs'
    : 'what that costs in accuracy was not measured'
  return {
    level,
    clause: `keeps its outputs at ${decibel(worst)} SQNR, noise of ${noise} of the signal's power; ${doubt}`,
  }
}
