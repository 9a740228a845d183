// The table of docs/targets/accuracy.md, from what bench/targets.ts measured.
import { existsSync, readFileSync } from 'node:fs'
import type { TargetRow } from '../../bench/lib/target-row.ts'
import { table } from './tables.ts'

export const RESULTS = 'bench/results/targets.json'

/** One row a backend, one column a network: scores, and SQNR of the outputs against float. */
export function accuracyTable(): string {
  const rows = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as TargetRow[]) : []
  const networks = [...new Set(rows.map((row) => row.network))]
  const targets = [...new Set(rows.map((row) => row.target))]
  const find = (target: string, network: string) => rows.find((r) => r.target === target && r.network === network)
  const float = networks.map((network) => scores(rows.find((r) => r.network === network && r.float)?.float))
  const body = targets.map((target) => [`[${target}](${target}.md)`, ...networks.map((n) => cell(find(target, n)))])
  return table(['target', ...networks], [['float', ...float], ...body])
}

function cell(row: TargetRow | undefined): string {
  if (!row) return ''
  if (row.refused) return 'refused'
  const { sqnr, agreement: _agreement, ...accuracy } = row.quantized ?? {}
  return `${scores(accuracy)}; ${sqnr?.toFixed(1)} dB`
}

const scores = (values: Readonly<Record<string, number>> = {}): string =>
  Object.values(values)
    .map((value) => value.toFixed(2))
    .join(' / ')
