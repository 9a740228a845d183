import { binade, isMinifloat } from '../../util/index.ts'
import type { NumberFormat, QuantSpec, Range } from '../spec.ts'
import type { LevelGrid } from './grid.ts'
import { tableGrid } from './levels.ts'
import { log2Grid, log2Scale } from './log2.ts'
import { minifloatGrid } from './minifloat.ts'

export { codebookParams, kmeansLevels } from './codebook.ts'
export { type LevelGrid, levelIndex } from './grid.ts'
export { apotLevels, BINARY_LEVELS, isBinary } from './levels.ts'

/** Grids that do not depend on the scale are made once for each format object. */
const GRIDS = new WeakMap<NumberFormat, LevelGrid>()

/** The grid of a format; only `log2` asks for the scale. */
export function gridOf(format: NumberFormat, scale: number): LevelGrid {
  if (format.kind === 'log2') return log2Grid(scale)
  let grid = GRIDS.get(format)
  if (!grid) {
    grid = format.kind === 'levels' ? tableGrid(format.levels) : minifloatGrid(format.kind)
    GRIDS.set(format, grid)
  }
  return grid
}

/** Lowest and highest number of a format at scale 1: what a spec of this format has as `quantMin` and `quantMax`. */
export function formatRange(format: NumberFormat): readonly [number, number] {
  if (format.kind === 'log2') return [-1, 1]
  const { levels } = gridOf(format, 1)
  return [levels[0] as number, levels.at(-1) as number]
}

/**
 * The scale of a format before it is rounded to what is stored: the largest magnitude becomes the format's largest number.
 * Microscaling formats (a power of two, rounded down) follow OCP MX 1.0, section 6.3: 2^(⌊log2 max⌋ − emax), emax being the exponent of
 * the largest number, so that 448 > 256 leaves room for all but the top of a binade, which saturates.
 * @param range holds zero.
 */
export function formatScale({ lo, hi }: Range, format: NumberFormat, spec: QuantSpec): number {
  const magnitude = Math.max(-lo, hi)
  if (magnitude === 0) return 0
  if (format.kind === 'log2') return log2Scale(magnitude)
  if (isMinifloat(format.kind) && spec.powerOfTwo === 'floor') return magnitude / binade(spec.quantMax)
  return Math.max(spec.quantMax > 0 ? hi / spec.quantMax : 0, spec.quantMin < 0 ? lo / spec.quantMin : 0)
}
