// The tables of docs/exactness.md, from what npm run test:backends measured.
import { existsSync, readFileSync } from 'node:fs'
import { BACKENDS } from '../../tests/backends/engines/index.ts'
import type { Row } from '../../tests/backends/report.ts'
import { table } from './tables.ts'

const RESULTS = 'bench/results/backends.json'
const RANDOM = 'random '

/** Whole networks, then random layers: each engine that computes in integers, beside the arithmetic that follows it. */
export function exactnessTables(): string {
  const all = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as Row[]) : []
  const rows = all.filter((row) => row.integers && arithmeticOf(row))
  const random = rows.filter((row) => row.network.startsWith(RANDOM))
  return `${networksTable(rows.filter((row) => row.integerLayers))}\n\n${layersTable(random)}`
}

/** Share of equal codes in all layers, each run from the network's input on. */
function networksTable(rows: readonly Row[]): string {
  const networks = [...new Set(rows.map((row) => row.network))]
  const body = groupsOf(rows).map((group) => {
    const cells = networks.map((network) => {
      const layers = group.find((row) => row.network === network)?.integerLayers
      return layers ? `${share(layers.same)} of ${layers.elements.toLocaleString('en')}` : '–'
    })
    return [...headOf(group), ...cells]
  })
  return table(['engine', 'arithmetic', ...networks], body)
}

/** Kinds of layers of which every element is equal, and those of which not. */
function layersTable(rows: readonly Row[]): string {
  const body = groupsOf(rows).map((group) => {
    const kind = ({ network }: Row): string => network.slice(RANDOM.length)
    const equal = group.filter((row) => row.integers?.same === 1)
    const other = group.filter((row) => !equal.includes(row))
    const counts = new Set(group.map((row) => row.layers))
    const differing = other.map((row) => `${kind(row)} ${share(row.integers?.same ?? 0)}`)
    return [...headOf(group), [...counts].join(', '), equal.map(kind).join(', '), differing.join(', ')]
  })
  return table(['engine', 'arithmetic', 'layers of each kind', 'equal in every element', 'not'], body)
}

function groupsOf(rows: readonly Row[]): Row[][] {
  const names = [...new Set(rows.map((row) => row.backend))]
  return names.map((name) => rows.filter((row) => row.backend === name))
}

const headOf = ([row]: readonly Row[]): string[] =>
  row ? [[row.title, row.version].filter(Boolean).join(' '), `\`${arithmeticOf(row)}\``] : []

const arithmeticOf = ({ backend }: Row): string | undefined => BACKENDS.find(({ name }) => name === backend)?.integers

/** Cut off, so that only all is 100 %. */
const share = (same: number): string => `${Math.floor(same * 1e6) / 1e4} %`
