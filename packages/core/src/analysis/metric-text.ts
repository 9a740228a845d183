import { decibel, figure } from '../util/index.ts'
import { METRICS, type MetricName } from './task-metrics.ts'

/** A metric's value with its unit. */
export function metricText(name: string, value: number): string {
  const unit = METRICS[name as MetricName]?.unit
  if (unit === '%') return `${value.toFixed(2)} %`
  if (unit === 'dB') return decibel(value, 2)
  // Cosines of good models differ from 1 in the fourth digit.
  return name === 'cosine' ? value.toFixed(6) : figure(value)
}
