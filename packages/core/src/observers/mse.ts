import type { QuantSpec } from '../quant/index.ts'
import type { Observer, TensorStats } from './define.ts'
import { type SplitCost, searchGrid } from './grid-search.ts'
import { type OneSided, sidesOf } from './one-sided.ts'

/** Least expected squared error, rounding and clipping together. See docs/observers/mse.md. */
export const mse: Observer = {
  name: 'mse',
  summary: 'the range with the least mean squared quantization error',
  defaults: {},
  wants: ['histogram'],
  range: (stats, spec) => searchGrid(stats, spec, costOf(stats, spec)),
}

function costOf(stats: TensorStats, { format, quantMin, quantMax }: QuantSpec): (scale: number) => SplitCost {
  const hasLevels = format?.kind === 'levels' && format.levels.includes(0)
  return hasLevels ? errorOfLevels(stats, format.levels) : squaredError(stats, quantMax - quantMin)
}

/**
 * The same for levels that are not evenly spaced, 0 among them: a value that passes the middle between a·s and b·s on its way from zero comes
 * nearer by (x − a·s)² − (x − b·s)² = 2s·(b − a)·(x − s·(a + b)/2).
 */
function errorOfLevels(stats: TensorStats, levels: readonly number[]): (scale: number) => SplitCost {
  const sides = sidesOf(stats)
  const away = levels.filter((level) => level > 0)
  const back = levels.flatMap((level) => (level < 0 ? [-level] : [])).reverse()
  const parts = [
    { side: new Excess(sides.negative), levels: [0, ...back] },
    { side: new Excess(sides.positive), levels: [0, ...away] },
  ]
  return (scale) => {
    const error = parts.reduce((sum, part) => sum + part.side.secondMoment - part.side.gained(part.levels, scale), 0)
    return () => error
  }
}

/**
 * The squared error of a grid, exact for values spread evenly within each histogram bin.
 *
 * For x > 0 and code k = min(rne(x/s), P), (x − k·s)² = x² − 2s·Σ_{j=1..P} (x − (j − ½)s)₊, because every code boundary that x has
 * passed adds one step. Summed over the data, with T(b) = Σ (x − b)₊, the error is Σx² − 2s·Σ_j T((j − ½)s), and the negative
 * side is its mirror image. The two sides do not interact, so one sweep over the boundaries prices every zero point.
 */
function squaredError(stats: TensorStats, codes: number) {
  const sides = sidesOf(stats)
  const negative = new Excess(sides.negative)
  const positive = new Excess(sides.positive)
  const secondMoment = negative.secondMoment + positive.secondMoment
  const below = new Float64Array(codes + 1)
  const above = new Float64Array(codes + 1)
  return (scale: number) => {
    negative.sumAtBoundaries(scale, below)
    positive.sumAtBoundaries(scale, above)
    return (n: number, p: number) => secondMoment - 2 * scale * ((below[n] as number) + (above[p] as number))
  }
}

/** T(b) = Σ (x − b)₊ over one side of a histogram. */
class Excess {
  readonly secondMoment: number
  readonly #width: number
  readonly #counts: Float64Array
  /** Values at or above each bin edge, and T there. */
  readonly #beyond: Float64Array
  readonly #excess: Float64Array

  constructor({ width, counts }: OneSided) {
    const beyond = new Float64Array(counts.length + 1)
    const excess = new Float64Array(counts.length + 1)
    let moment = 0
    for (let i = counts.length - 1; i >= 0; i--) {
      const n = counts[i] as number
      const next = beyond[i + 1] as number
      beyond[i] = next + n
      excess[i] = (excess[i + 1] as number) + width * (next + n / 2)
      moment += n * (i * i + i + 1 / 3)
    }
    this.secondMoment = moment * width * width
    this.#width = width
    this.#counts = counts
    this.#beyond = beyond
    this.#excess = excess
  }

  /** sums[k] = Σ_{j=1..k} T((j − ½)·scale). */
  sumAtBoundaries(scale: number, sums: Float64Array): void {
    sums[0] = 0
    if (this.#counts.length === 0) return
    for (let k = 1; k < sums.length; k++) sums[k] = (sums[k - 1] as number) + this.#at((k - 0.5) * scale)
  }

  /** By how much rounding to levels, ascending from 0, lessens the squared error of rounding all to 0. */
  gained(levels: readonly number[], scale: number): number {
    if (this.#counts.length === 0) return 0
    const steps = levels.slice(1).map((level, i) => {
      const before = levels[i] as number
      return (level - before) * this.#at(((before + level) / 2) * scale)
    })
    return 2 * scale * steps.reduce((a, b) => a + b, 0)
  }

  #at(bound: number): number {
    const position = bound / this.#width
    const bin = Math.floor(position)
    if (bin >= this.#counts.length) return 0
    const rest = bin + 1 - position
    const inBin = ((this.#counts[bin] as number) * rest) / 2 + (this.#beyond[bin + 1] as number)
    return (this.#excess[bin + 1] as number) + this.#width * rest * inBin
  }
}
