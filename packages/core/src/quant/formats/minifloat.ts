import { type MinifloatName, minifloatTable } from '../../util/index.ts'
import { type LevelGrid, makeGrid, midpoints } from './grid.ts'

/**
 * Floating-point numbers of 8 and 4 bits (OCP Microscaling 1.0; FP8: arXiv:2209.05433). Rounds to nearest even and saturates: infinities
 * become the largest finite number. Codes are bit patterns; zero has no sign, so that the pattern of −0 is never made.
 */
export function minifloatGrid(name: MinifloatName): LevelGrid {
  const table = minifloatTable(name)
  const patterns = Array.from(table.keys())
    .filter((p) => Number.isFinite(table[p]) && !Object.is(table[p], -0))
    .sort((a, b) => (table[a] as number) - (table[b] as number))
  const levels = Float32Array.from(patterns, (p) => table[p] as number)
  // Even: the last bit of the mantissa is 0.
  return makeGrid({
    levels,
    codes: patterns,
    thresholds: midpoints(levels, (i) => (patterns[i + 1] as number) % 2 === 0),
  })
}

/** Largest finite number: 448 of E4M3, 57344 of E5M2, 6 of E2M1. */
export const largestFinite = (name: MinifloatName): number =>
  minifloatTable(name).reduce((most, x) => (Number.isFinite(x) && x > most ? x : most), 0)
