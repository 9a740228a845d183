import { problem } from '../../util/index.ts'
import type { NumberFormat } from '../spec.ts'
import { type LevelGrid, makeGrid, midpoints } from './grid.ts'

/** Levels −1 and 1, the grid of binary networks: the sign, zero counting as positive (XNOR-Net, arXiv:1603.05279). */
export const BINARY_LEVELS: readonly number[] = [-1, 1]

/** True if the numbers of a format are ±scale. */
export const isBinary = (format: NumberFormat | undefined): boolean =>
  format?.kind === 'levels' &&
  format.levels.length === 2 &&
  format.levels.every((level, i) => level === BINARY_LEVELS[i])

/**
 * A table of levels: x ≈ scale · the nearest. Ties go up. Levels become float32; their codes count them from the lowest.
 * @throws FewbitError QUANT_LEVELS unless there are 2 to 65,536 finite levels in ascending order, one of them not 0.
 */
export function tableGrid(levels: readonly number[]): LevelGrid {
  const exact = Float32Array.from(levels)
  const ascending = exact.every((level, i) => i === 0 || level > (exact[i - 1] as number))
  if (exact.length < 2 || exact.length > 2 ** 16 || !ascending || !exact.every(Number.isFinite)) {
    throw problem(
      'QUANT_LEVELS',
      `${levels.length} levels are no table: 2 to 65536 finite float32 numbers in ascending order`,
    )
  }
  return makeGrid({ levels: exact, thresholds: midpoints(exact, () => true) })
}

/**
 * Levels of additive powers of two, the largest 1 (Li, Dong and Wang, ICLR 2020, arXiv:1909.13144): sums of one member of each of
 * n sets {0, 2^-i, 2^-(i+n), 2^-(i+2n)}, i = 1…n, two bits each, so that a product is n shifts. Of an odd number of bits the last set
 * has one bit, {0, 2^-(2n+1)}, and the others continue behind it, as the authors' code does.
 * @param bits with the sign, if signed: n = (bits − 1) / 2 sets for signed weights, bits / 2 for unsigned activations. 2 to 8.
 * @returns ascending; symmetric about 0 and 2^bits − 1 of them if signed, else 2^bits.
 */
export function apotLevels(bits: number, { signed }: { readonly signed: boolean }): number[] {
  const magnitudes = sums(powerSets(bits - (signed ? 1 : 0)))
  const most = Math.max(...magnitudes)
  const positive = [...new Set(magnitudes)].sort((a, b) => a - b).map((level) => level / most)
  return signed
    ? [
        ...positive
          .slice(1)
          .map((level) => -level)
          .reverse(),
        ...positive,
      ]
    : positive
}

function powerSets(bits: number): number[][] {
  const n = Math.floor(bits / 2)
  const odd = bits % 2
  const pairs = Array.from({ length: n }, (_, i) => [0, ...[i + 1, n + i + 1, 2 * n + odd + i + 1].map((e) => 2 ** -e)])
  return odd === 1 ? [...pairs, [0, 2 ** -(2 * n + 1)]] : pairs
}

const sums = (sets: readonly (readonly number[])[]): number[] =>
  sets.reduce<number[]>((all, set) => all.flatMap((sum) => set.map((term) => sum + term)), [0])
