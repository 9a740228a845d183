import { metricText } from '@fewbit/core/analysis'
import type { Allocation, BudgetReport } from '@fewbit/core/pipeline'
import { bytes, count, type Diagnostic, decibel, figure, formatDiagnostic, percent } from '@fewbit/core/util'

import { table } from './table.ts'

/** The closing tables of `allocate`. */
export function renderAllocation(allocation: Allocation, diagnostics: readonly Diagnostic[], output: string): string {
  return [
    ...layerTable(allocation),
    '',
    ...networkTable(allocation),
    ...frontTable(allocation),
    '',
    ...allocation.budgets.map(budgetText),
    `sensitivity ${allocation.by} on ${allocation.samples} samples, solved by ${allocation.solver}`,
    ...diagnostics.filter((d) => d.level !== 'info').map(formatDiagnostic),
    `wrote ${output}`,
  ].join('\n')
}

const TITLES: Record<Allocation['by'], string> = {
  kl: 'SQNR of the outputs with one layer quantized:',
  sqnr: 'SQNR of the outputs with one layer quantized:',
  layer: 'SQNR of the layer’s own result with it quantized:',
  hessian: 'SQNR of the outputs with the weights of one layer quantized, as their curvature says:',
}

function layerTable({ by, sensitivity, choices }: Allocation): string[] {
  const head = ['layer', ...choices, 'share of noise', 'chosen']
  const rows = sensitivity.map(({ node, others = [], noiseShare, choices: tried = {}, chosen = '' }) => [
    others.length > 0 ? `${node} and ${others.length} more` : node,
    ...choices.map((choice) => decibel(tried[choice]?.sqnr ?? Number.NaN)),
    percent(noiseShare),
    chosen,
  ])
  return [TITLES[by], table(head, rows, ['left', ...head.slice(1).map(() => 'right' as const)])]
}

function networkTable({ uniform, budgets, measured, predicted, evaluation }: Allocation): string[] {
  const head = ['network', ...budgets.map(({ title }) => title), 'SQNR']
  const row = (name: string, used: readonly number[], sqnr: number) => [
    name,
    ...used.map((n, i) => amount(n, budgets[i]?.unit ?? '')),
    decibel(sqnr),
  ]
  const mixed = budgets.map(({ used }) => used)
  const rows = [
    ...uniform.map(({ choice, used, sqnr }) => row(`all ${choice}`, used, sqnr)),
    row('mixed', mixed, measured.sqnr),
  ]
  const scores = Object.entries(evaluation?.after.metrics ?? {}).map(([name, value]) => {
    const before = evaluation?.before.metrics[name]
    return `${name}: ${metricText(name, value)}${before === undefined ? '' : `, in float ${metricText(name, before)}`}`
  })
  return [
    table(head, rows, ['left', ...head.slice(1).map(() => 'right' as const)]),
    ...(predicted ? [`predicted for the mixed network: ${decibel(predicted.sqnr)}`] : []),
    ...scores,
  ]
}

function frontTable({ pareto }: Allocation): string[] {
  if (!pareto) return []
  const { unit } = pareto
  const rows = pareto.points.map(({ budget, predicted, metric, onFront }, i) => [
    amount(budget, unit),
    predicted === undefined ? '–' : decibel(predicted),
    decibel(metric),
    [...(i === pareto.chosen ? ['chosen'] : []), ...(onFront === false ? ['beaten'] : [])].join(', '),
  ])
  return ['', table(['budget', 'predicted', 'measured', ''], rows, ['right', 'right', 'right', 'left'])]
}

const budgetText = ({ title, unit, limit, used, smallest, largest }: BudgetReport): string =>
  `${title}: ${amount(used, unit)} of ${amount(limit, unit)}, possible are ${amount(smallest, unit)} to ${amount(largest, unit)}`

function amount(n: number, unit: string): string {
  if (unit === 'bytes') return bytes(Math.round(n))
  return unit === 'ms' ? `${figure(n)} ms` : count(Math.round(n))
}
