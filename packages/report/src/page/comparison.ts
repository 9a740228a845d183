import { type AnalysisReport, METRICS, type MetricName, metricText } from '@fewbit/core/analysis'
import { bytes, decibel, figure, percent } from '@fewbit/core/util'
import { barred } from './chart.ts'
import { plainTable } from './data-table.ts'
import type { Child } from './element.ts'
import { METRIC_HEADS, metricCells } from './layer-details.ts'
import { type Section, section } from './section.ts'

/** The same figures before and after. */
export function comparisonSection(report: AnalysisReport): Section | undefined {
  const rows = [...sizeRows(report), ...scoreRows(report)]
  if (rows.length === 0) return undefined
  const where = report.task ? ` Scores are of ${report.task.samples} samples of ${report.task.data}.` : ''
  return section(
    'comparison',
    'Float and quantized',
    `The same figures before and after; the last column is the change.${where}`,
    plainTable('Float and quantized', ['', 'float', 'quantized', 'change'], rows),
  )
}

function sizeRows({ model }: AnalysisReport): string[][] {
  if (!model) return []
  const { float, quantized, integerShare } = model
  const change = signed(percent(quantized.bytes / float.bytes - 1, 0))
  const size = ['size of the file', bytes(float.bytes), bytes(quantized.bytes), change]
  const share =
    integerShare === undefined ? [] : [['multiply-accumulates in integers', '–', percent(integerShare, 1), '']]
  return [size, ...share]
}

function scoreRows({ task }: AnalysisReport): string[][] {
  if (!task) return []
  const names = [...new Set([...Object.keys(task.before), ...Object.keys(task.after)])]
  return names.map((name) => {
    const { [name]: before } = task.before
    const { [name]: after } = task.after
    const text = (score: number | undefined) => (score === undefined ? '–' : metricText(name, score))
    return [
      name,
      text(before),
      text(after),
      before === undefined || after === undefined ? '' : changeText(name, after - before),
    ]
  })
}

const signed = (change: string): string => (change.startsWith('-') ? `−${change.slice(1)}` : `+${change}`)

function changeText(name: string, change: number): string {
  const unit = METRICS[name as MetricName]?.unit
  const digits = unit === '%' ? change.toFixed(2) : figure(change)
  return signed(`${digits}${unit === '%' ? ' points' : ''}`)
}

/** Outputs against float, and whether weights or activations are to blame. */
export function outputsSection({ outputs, parts, data }: AnalysisReport): Section | undefined {
  if (outputs.length === 0 && !parts) return undefined
  const kl = outputs.some(({ metrics }) => metrics.kl !== undefined)
  const rows = outputs.map(({ value, metrics }) => [
    value,
    ...metricCells(metrics),
    ...(kl ? [metrics.kl === undefined ? '' : figure(metrics.kl)] : []),
  ])
  const cause = parts ? ', and how far with only weights or only activations quantized' : ''
  return section(
    'outputs',
    'Outputs',
    `How far the outputs are from those of the float network on ${data.samples} samples${cause}.`,
    rows.length > 0 &&
      plainTable('Error of each output', ['output', ...METRIC_HEADS, ...(kl ? ['KL (nats)'] : [])], rows),
    parts && partsTable(parts),
  )
}

function partsTable(parts: NonNullable<AnalysisReport['parts']>): HTMLElement {
  const kinds = [
    ['only weights', parts.weightsOnly],
    ['only activations', parts.activationsOnly],
  ] as const
  const powers = kinds.map(([, metrics]) => metrics.mse)
  const most = Math.max(...powers)
  const rows = kinds.map(([name, metrics], i): Child[] => [
    name,
    barred(decibel(metrics.sqnr), (powers[i] as number) / most, 'accumulated'),
    ...metricCells(metrics).slice(1),
  ])
  return plainTable(
    'Error of all outputs, by what is quantized (bars: mean squared error)',
    ['quantized', ...METRIC_HEADS],
    rows,
  )
}
