import { type FewbitError, problem } from '../../util/index.ts'

/** Milliseconds of each node in each scheme, by name. */
export type LatencyTable = Readonly<Record<string, Readonly<Record<string, number>>>>

/**
 * What an allocation may cost. `size`: bytes of weights. `bops`: bit operations, Σ MACs · weight bits · activation bits. `macs`: share of the
 * MACs whose weights have more bits than `above` (default: than the fewest that there are to choose from). `latency`: milliseconds.
 */
export type Budget =
  | { readonly measure: 'size'; readonly limit: number; readonly of?: 'w8' | 'float' }
  | { readonly measure: 'bops'; readonly limit: number; readonly of?: 'w8' | 'float' }
  | { readonly measure: 'macs'; readonly limit: number; readonly above?: number }
  | { readonly measure: 'latency'; readonly limit: number; readonly table: LatencyTable }

/** A budget as it is written: a latency table is a file by then. */
export type WrittenBudget =
  | Exclude<Budget, { measure: 'latency' }>
  | { readonly measure: 'latency'; readonly limit: number; readonly file: string }

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20 }
const NUMBER = String.raw`(\d+(?:\.\d+)?(?:e[+-]?\d+)?)`
const SIZE = new RegExp(`^size=${NUMBER}(?:%(float)?|\\s*([kKmMgG]?i?[bB])?)$`)
const BOPS = new RegExp(`^bops=${NUMBER}(%(?:float)?)?$`)
const MACS = new RegExp(`^macs=${NUMBER}%(?:@(\\d+))?$`)
const LATENCY = new RegExp(`^latency=${NUMBER}(?:ms)?@(.+)$`)

/**
 * Reads `size=60%` (of all weights at 8 bits), `size=15%float`, `size=1.2MB`, `bops=50%`, `bops=2e9`, `macs=30%` or `macs=30%@4`, and
 * `latency=5ms@table.json`.
 * @throws FewbitError BUDGET_SYNTAX
 */
export function parseBudget(text: string): WrittenBudget {
  const [, size, of, unit = ''] = SIZE.exec(text) ?? []
  if (size) return { measure: 'size', ...(text.includes('%') ? share(size, of) : bytes(size, unit)) }
  const [, bops, kind] = BOPS.exec(text) ?? []
  if (bops) return { measure: 'bops', ...(kind ? share(bops, kind.slice(1)) : { limit: Number(bops) }) }
  const [, macs, above] = MACS.exec(text) ?? []
  if (macs) return { measure: 'macs', limit: Number(macs) / 100, ...(above ? { above: Number(above) } : {}) }
  const [, limit, file] = LATENCY.exec(text) ?? []
  if (limit && file) return { measure: 'latency', limit: Number(limit), file }
  throw syntax(text)
}

const share = (percent: string, of: string | undefined) => ({
  limit: Number(percent) / 100,
  of: of === 'float' ? ('float' as const) : ('w8' as const),
})

const bytes = (number: string, unit: string) => ({ limit: Number(number) * (UNITS[unit.toLowerCase()] ?? 1) })

const syntax = (text: string): FewbitError =>
  problem('BUDGET_SYNTAX', `the budget "${text}" cannot be read`, {
    at: { option: 'budget' },
    fix: 'write it like size=60%, size=15%float, size=1.2MB, bops=50%, macs=30%@4 or latency=5ms@table.json',
  })
