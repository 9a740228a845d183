import { float32Above, float32AtLeast } from '../../util/index.ts'

/**
 * Numbers on no even grid, as a table. Value v stands for level i where `thresholds[i − 1] ≤ v < thresholds[i]`: comparisons of float32
 * numbers, which every engine answers alike, so that the scalar reference and the graph agree by construction.
 */
export interface LevelGrid {
  /** Ascending. */
  readonly levels: Float32Array
  /** Ascending, one fewer than levels. */
  readonly thresholds: Float32Array
  /** Code of each level. */
  readonly codes: Uint16Array
  /** Number of each code: the inverse of `codes`. */
  readonly values: Float32Array
  /** Levels are the numbers themselves and no multiples of the scale. */
  readonly absolute?: true
}

/** What a grid is made of; codes count the levels unless given. */
export type GridParts = Pick<LevelGrid, 'levels' | 'thresholds' | 'absolute'> & { readonly codes?: readonly number[] }

export function makeGrid({ codes, ...parts }: GridParts): LevelGrid {
  const { levels } = parts
  const codeOf = Uint16Array.from(codes ?? levels.keys())
  const values = new Float32Array(codeOf.reduce((a, b) => Math.max(a, b), 0) + 1)
  codeOf.forEach((code, i) => {
    values[code] = levels[i] as number
  })
  return { ...parts, codes: codeOf, values }
}

/**
 * Thresholds half-way between neighbours.
 * @param tieGoesUp of level i: whether the midpoint itself belongs to level i + 1.
 */
export function midpoints(levels: Float32Array, tieGoesUp: (i: number) => boolean): Float32Array {
  return Float32Array.from({ length: levels.length - 1 }, (_, i) => {
    const middle = ((levels[i] as number) + (levels[i + 1] as number)) / 2
    return tieGoesUp(i) ? float32AtLeast(middle) : float32Above(middle)
  })
}

/** Index of the level of a float32 number; of NaN, the lowest. */
export function levelIndex({ thresholds }: LevelGrid, v: number): number {
  let low = 0
  let high = thresholds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (v >= (thresholds[middle] as number)) low = middle + 1
    else high = middle
  }
  return low
}
