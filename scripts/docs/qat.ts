// The tables of docs/qat-benchmark.md, from what npm run bench:qat measured.
import { existsSync, readFileSync } from 'node:fs'
import type { QatBench, QatBenchRecipe, QatCell } from '@fewbit/core/pipeline'
import { table } from './tables.ts'

const SCHEMES = ['w4a4', 'w2a2']

/** One row a method, one column a backend: top-1 before training, and of the deployed network. */
export function qatTables(): string {
  return SCHEMES.map(schemeTable).join('\n\n')
}

function schemeTable(scheme: string): string {
  const path = `bench/results/qat-${scheme}.json`
  if (!existsSync(path)) return `**${scheme}**: nothing was measured.`
  const { cells, settings, float } = JSON.parse(readFileSync(path, 'utf8')) as QatBench
  const { steps } = settings.recipe as QatBenchRecipe
  const floats = Object.values(float).map(top1).join(', ')
  const targets = [...new Set(cells.map((cell) => cell.target))]
  const algorithms = [...new Set(cells.map((cell) => cell.algorithm))]
  const find = (algorithm: string, target: string) =>
    cells.find((cell) => cell.algorithm === algorithm && cell.target === target)
  const mark = (target: string) =>
    cells.some((cell) => cell.target === target && cell.beyond) ? `${target} \\*` : target
  const rows = algorithms.map((name) => [name, ...targets.map((target) => text(find(name, target)))])
  return `**${scheme}**: ${steps} steps, float ${floats}\n\n${table(['method', ...targets.map(mark)], rows)}`
}

function text(cell: QatCell | undefined): string {
  if (!cell) return '–'
  return cell.refused ? 'refused' : `${top1(cell.before)} → ${top1(cell.deployed)}`
}

const top1 = (scores: QatCell['deployed']): string => scores?.top1?.toFixed(1) ?? '–'
