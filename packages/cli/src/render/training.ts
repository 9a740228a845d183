import { metricText } from '@fewbit/core/analysis'
import type { Conversion, TrainQatResult, TrainReport } from '@fewbit/core/pipeline'
import { bytes, type Diagnostic, figure, formatDiagnostic, percent } from '@fewbit/core/util'
import { profileRows } from './profile.ts'
import { table } from './table.ts'

export interface Training {
  readonly report: TrainReport & Partial<Pick<TrainQatResult['report'], 'float' | 'quantized' | 'oscillation'>>
  readonly conversion: Conversion | undefined
  readonly files: readonly string[]
  /** Bytes. */
  readonly peakMemory: number
  readonly diagnostics: readonly Diagnostic[]
}

/** The closing tables of `train`: only figures of this run. */
export function renderTraining({ report, conversion, files, peakMemory, diagnostics }: Training): string {
  return [
    epochTable(report),
    ...(report.bestEpoch === undefined ? [] : [`kept: epoch ${report.bestEpoch}, the best`]),
    ...deployedRows(report),
    ...conversionRows(conversion),
    ...oscillationRows(report),
    ...(report.profile ? ['', ...profileRows(report.profile)] : []),
    '',
    ...(report.samplesPerSecond > 0 ? [`${figure(report.samplesPerSecond)} samples/s in training steps`] : []),
    `peak memory: ${bytes(peakMemory)}`,
    ...diagnostics.filter((d) => d.level !== 'info').map(formatDiagnostic),
    `wrote ${files.join(' and ')}`,
  ].join('\n')
}

function epochTable({ history, before }: TrainReport): string {
  const metrics = Object.keys(before ?? history[0]?.metrics ?? {})
  const hasAccuracy = history.some(({ accuracy }) => accuracy !== undefined)
  const head = ['epoch', 'steps', 'loss', ...(hasAccuracy ? ['right in training'] : []), ...metrics]
  const scores = (values: Readonly<Record<string, number>> = {}) =>
    metrics.map((name) => metricText(name, values[name] ?? Number.NaN))
  const first = before ? [['before', '0', '', ...(hasAccuracy ? [''] : []), ...scores(before)]] : []
  const rows = history.map(({ epoch, steps, loss, accuracy, metrics: values }) => [
    ...[String(epoch), String(steps), loss.toFixed(4)],
    ...(hasAccuracy ? [accuracy === undefined ? '' : percent(accuracy)] : []),
    ...scores(values),
  ])
  return table(
    head,
    [...first, ...rows],
    head.map(() => 'right' as const),
  )
}

function deployedRows({ float, before, after, quantized }: Training['report']): string[] {
  if (!quantized) return []
  const names = Object.keys(quantized)
  const columns = [
    ...(float ? [['float', float] as const] : []),
    ['fake-quantized', before] as const,
    ['trained', after] as const,
    ['quantized', quantized] as const,
  ]
  const rows = names.map((name) => [
    name,
    ...columns.map(([, scores]) => metricText(name, scores?.[name] ?? Number.NaN)),
  ])
  const head = ['', ...columns.map(([title]) => title)]
  return ['', table(head, rows, ['left', ...columns.map(() => 'right' as const)])]
}

function oscillationRows({ oscillation }: Training['report']): string[] {
  if (!oscillation) return []
  const { mode, oscillating, frozen, above } = oscillation
  const text = `weights that turn from code to code in more than ${percent(above, 1)} of steps: ${percent(oscillating, 1)}`
  return ['', mode === 'freeze' ? `${text}; frozen: ${percent(frozen, 1)}` : text]
}

function conversionRows(conversion: Conversion | undefined): string[] {
  if (!conversion) return []
  const rows = conversion.outputs.map(({ value, stepFrom, within, equal, worst }) => [
    ...[value, percent(equal, 2), percent(within, 2), `${figure(worst)} steps`],
    stepFrom === 'scale' ? 'its codes' : 'its range',
  ])
  const head = ['output', 'equal', 'within a step', 'worst', 'step of']
  const title = `quantized network against the trained one, ${conversion.samples} samples on the real engine:`
  return ['', title, table(head, rows, ['left', 'right', 'right', 'right', 'left'])]
}
