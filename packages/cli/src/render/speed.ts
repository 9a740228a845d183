import type { EngineSpeed, KernelSummary, Speed, Timing } from '@fewbit/core/pipeline'
import { duration, formatDiagnostic, percent } from '@fewbit/core/util'
import { table } from './table.ts'

/** Latencies in a table, and what stands behind them. */
export function renderSpeed({ sample, data, engines, diagnostics }: Speed): string {
  return [
    `one run of sample "${sample}" of ${data}: median, and where the fastest and slowest tenth end`,
    table(['engine', 'threads', 'float', 'quantized', 'ratio'], engines.map(row), [
      'left',
      'right',
      'right',
      'right',
      'right',
    ]),
    ...engines.flatMap(behind),
    ...diagnostics.map(formatDiagnostic),
  ].join('\n')
}

const row = ({ name, threads, float, quantized, ratio, failure }: EngineSpeed): string[] =>
  failure === undefined
    ? [name, String(threads), timeText(float), timeText(quantized), ratio?.toFixed(2) ?? '–']
    : [name, String(threads), 'does not run', '–', '–']

const timeText = (timing: Timing | undefined): string =>
  timing ? `${duration(timing.median)} (${duration(timing.low)} to ${duration(timing.high)})` : '–'

function behind({ name, kernels, reasons, failure }: EngineSpeed): string[] {
  if (failure !== undefined) return ['', `${name}: ${failure}`]
  return [
    ...(kernels ? ['', `${name}: the quantized network`, ...kernelText(kernels)] : []),
    ...(reasons.length > 0
      ? ['', `${name}: why the quantized network is not faster`, ...reasons.map((line) => `  ${line}`)]
      : []),
  ]
}

/** Islands and kernels that are named. */
const NAMED = 5

function kernelText({ integer, islands, shares }: KernelSummary): string[] {
  const types = [...new Set(integer.map(({ opType }) => opType))].join(', ')
  const parts = (['integer', 'moves', 'converts', 'float'] as const).map(
    (kind) => `${kind} ${percent(shares[kind], 0)}`,
  )
  return [
    `  ${integer.length} kernels on codes${types ? ` (${types})` : ''}`,
    `  time: ${parts.join(', ')}`,
    ...islands.slice(0, NAMED).map(({ kernels, opTypes, seconds }) => {
      const shown = kernels.slice(0, NAMED).join(', ') + (kernels.length > NAMED ? ', …' : '')
      return `  left in float: ${shown} (${opTypes.slice(0, NAMED).join(', ')}), ${duration(seconds)}`
    }),
    ...(islands.length > NAMED ? [`  and ${islands.length - NAMED} more parts in float`] : []),
  ]
}
