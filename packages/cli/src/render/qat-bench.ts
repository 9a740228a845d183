import { metricText } from '@fewbit/core/analysis'
import type { QatBench, QatCell } from '@fewbit/core/pipeline'
import { table } from './table.ts'

const unique = (texts: readonly string[]): string[] => [...new Set(texts)]

/** A table for each network and scheme: methods by targets. */
export function renderQatBench({ cells, float }: QatBench): string {
  const parts = unique(cells.map(({ model, scheme }) => `${model}, ${scheme}`)).map((title) => {
    const own = cells.filter(({ model, scheme }) => `${model}, ${scheme}` === title)
    return [title, ...floatRow(float[own[0]?.model ?? '']), '', grid(own), '', ...reasons(own)].join('\n')
  })
  return parts.join('\n\n')
}

function floatRow(scores: Readonly<Record<string, number>> | undefined): string[] {
  const texts = Object.entries(scores ?? {}).map(([name, value]) => `${name} ${metricText(name, value)}`)
  return texts.length > 0 ? [`float: ${texts.join(', ')}`] : []
}

function grid(cells: readonly QatCell[]): string {
  const targets = unique(cells.map(({ target }) => target))
  const marks = marksOf(cells)
  const rows = unique(cells.map(({ algorithm }) => algorithm)).map((algorithm) => [
    algorithm,
    ...targets.map((target) => {
      const cell = cells.find((c) => c.algorithm === algorithm && c.target === target)
      return cell ? cellText(cell, marks) : ''
    }),
  ])
  const isBeyond = (target: string) => cells.some((c) => c.target === target && c.beyond)
  const head = ['trained / deployed', ...targets.map((target) => (isBeyond(target) ? `${target}*` : target))]
  return table(head, rows, ['left', ...targets.map(() => 'right' as const)])
}

function cellText({ qfloat, deployed, refused }: QatCell, marks: ReadonlyMap<string, string>): string {
  if (refused) return `– ${marks.get(refused.reason)}`
  const [name] = Object.keys(deployed ?? {})
  if (name === undefined) return 'no scores'
  const text = (scores: QatCell['qfloat']) => metricText(name, scores?.[name] ?? Number.NaN)
  return `${text(qfloat)} / ${text(deployed)}`
}

const marksOf = (cells: readonly QatCell[]): ReadonlyMap<string, string> =>
  new Map(unique(cells.flatMap(({ refused }) => (refused ? [refused.reason] : []))).map((r, i) => [r, `(${i + 1})`]))

function reasons(cells: readonly QatCell[]): string[] {
  const beyond = cells.some((cell) => cell.beyond)
  const backend = unique(cells.filter(({ measuredOn }) => measuredOn === 'backend').map(({ target }) => target))
  return [
    ...(beyond ? ['* the rules of the backend, at bits that it has no kernels for'] : []),
    ...(backend.length > 0
      ? [`deployed networks of ${backend.join(', ')} ran on the backend itself, others were simulated`]
      : []),
    ...[...marksOf(cells)].map(([reason, mark]) => `${mark} ${reason}`),
  ]
}
