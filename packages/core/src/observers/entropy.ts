import type { QuantSpec } from '../quant/index.ts'
import type { Observer, TensorStats } from './define.ts'
import { minmaxScale, type SplitCost, searchGrid } from './grid-search.ts'
import { type OneSided, sidesOf } from './one-sided.ts'

/** Least Kullback-Leibler divergence between the clipped data and what the codes say of it. See docs/observers/entropy.md. */
export const entropy: Observer = {
  name: 'entropy',
  summary: 'the range whose codes keep most of the distribution (Kullback-Leibler)',
  defaults: {},
  wants: ['histogram'],
  // It counts occupied bins, of which a sample has fewer, and its optimum is flat.
  exhaustive: true,
  range: (stats, spec) => searchGrid(stats, spec, divergence(stats, spec), STEPS),
}

/** The divergence takes a logarithm for each cell, and is flat around its minimum: wider steps than for squared errors will do. */
const STEPS = { depth: 16, ratio: 0.9, refine: 6 }

/** Clipped values are piled up on this share of the last code's cell: one bin of the 2048 that 128 codes usually have. */
const PILE_SHARE = 1 / 16

/**
 * D(P‖Q) of a grid (Migacz, "8-bit inference with TensorRT", GTC 2017): P is the histogram with everything beyond the last code's
 * cell piled up at its edge; Q knows only how many values inside the range each code got, and spreads them evenly over the places
 * within the cell where there are any. With n for counts, per unit of length, the cells contribute Σ n·ln n − c·ln(c/l), for c
 * values on l occupied places, and the sum to any code comes from prefix sums of the histogram.
 */
function divergence(stats: TensorStats, spec: QuantSpec): (scale: number) => SplitCost {
  const alwaysZero = minmaxScale(stats, spec) / STEPS.depth / 2
  const { negative, positive } = sidesOf(stats)
  const codes = spec.quantMax - spec.quantMin
  const below = new Cells(without(negative, alwaysZero), codes)
  const above = new Cells(without(positive, alwaysZero), codes)
  const total = below.total + above.total
  return (scale) => {
    below.sweep(scale)
    above.sweep(scale)
    const zero = sharedCell(below, above, scale / 2)
    return (n, p) => {
      const inside = (below.inside[n] as number) + (above.inside[p] as number)
      const cells = zero + below.cost(n) + above.cost(p)
      if (inside === total) return cells / total
      return inside > 0 ? cells / total + Math.log(inside / total) : Number.POSITIVE_INFINITY
    }
  }
}

/**
 * What every grid under consideration rounds to zero says nothing about which to take. Left in, the zeros after a ReLU outweigh all
 * else and drive the scale down.
 */
function without({ width, counts }: OneSided, bound: number): OneSided {
  const kept = counts.slice()
  kept.fill(0, 0, Math.ceil(bound / width))
  return { width, counts: kept }
}

/** The cell of code 0, which the two sides share. */
function sharedCell(below: Cells, above: Cells, bound: number): number {
  const sum = (which: 0 | 1 | 2): number => below.sumTo(bound, which) + above.sumTo(bound, which)
  return cellCost(sum(0), sum(1), sum(2))
}

/** What smoothing costs a cell with `count` values on `length` occupied places, whose Σ n·ln n is `logs`. */
const cellCost = (count: number, length: number, logs: number): number =>
  count > 0 ? logs - count * Math.log(count / length) : 0

/** n·ln(n / expected), continued by 0. */
const pileCost = (n: number, expected: number): number => (n > 0 ? n * Math.log(n / expected) : 0)

/** Prefix sums over one side of a histogram, and the divergence of its cells at the scale last swept. */
class Cells {
  readonly total: number
  /** By code k: values that codes up to k cover, occupied length below them, and the divergence of cells 1 to k. */
  readonly inside: Float64Array
  readonly #lengths: Float64Array
  readonly #cells: Float64Array
  readonly #width: number
  readonly #bins: number
  /** For each bin edge: values below, occupied length, values times the logarithm of their density. One edge repeats at the end. */
  readonly #sums: Float64Array
  #scale = 0

  constructor({ width, counts }: OneSided, codes: number) {
    this.inside = new Float64Array(codes + 1)
    this.#lengths = new Float64Array(codes + 1)
    this.#cells = new Float64Array(codes + 1)
    this.#width = width
    this.#bins = counts.length
    this.#sums = prefixSums(counts, width)
    this.total = this.#sums.at(-3) as number
  }

  /** Sums over [0, bound): values (0), occupied length (1), or values times the logarithm of their density (2). */
  sumTo(bound: number, which: 0 | 1 | 2): number {
    const position = bound / this.#width
    const bin = Math.min(Math.floor(position), this.#bins)
    const at = 3 * bin + which
    return between(this.#sums[at] as number, this.#sums[at + 3] as number, position - bin)
  }

  sweep(scale: number): void {
    this.#scale = scale
    const sums = this.#sums
    let [cells, count, length, logs] = [0, 0, 0, 0]
    for (let k = 0; k < this.inside.length; k++) {
      if (count < this.total) {
        const position = ((k + 0.5) * scale) / this.#width
        const bin = Math.min(Math.floor(position), this.#bins)
        const rest = position - bin
        const at = 3 * bin
        const [lastCount, lastLength, lastLogs] = [count, length, logs]
        count = between(sums[at] as number, sums[at + 3] as number, rest)
        length = between(sums[at + 1] as number, sums[at + 4] as number, rest)
        logs = between(sums[at + 2] as number, sums[at + 5] as number, rest)
        if (k > 0) cells += cellCost(count - lastCount, length - lastLength, logs - lastLogs)
      }
      this.inside[k] = count
      this.#lengths[k] = length
      this.#cells[k] = cells
    }
  }

  /** The divergence with the values beyond cell k piled up at its edge; infinite if that cell is empty and Q says "never". */
  cost(k: number): number {
    const cells = this.#cells[k] as number
    const inside = this.inside[k] as number
    const tail = this.total - inside
    if (tail === 0) return cells
    const cellCount = inside - (k > 0 ? (this.inside[k - 1] as number) : 0)
    if (!(cellCount > 0)) return Number.POSITIVE_INFINITY
    const cellLength = (this.#lengths[k] as number) - (k > 0 ? (this.#lengths[k - 1] as number) : 0)
    const expected = (cellCount / cellLength) * this.#scale * PILE_SHARE
    const present = inside - this.sumTo((k + 0.5 - PILE_SHARE) * this.#scale, 0)
    return cells + pileCost(present + tail, expected) - pileCost(present, expected)
  }
}

const between = (a: number, b: number, share: number): number => a + share * (b - a)

/** Logarithms of the counts that most bins have. */
const LOGARITHMS = Float64Array.from({ length: 256 }, (_, n) => Math.log(n))

function prefixSums(counts: Float64Array, width: number): Float64Array {
  const sums = new Float64Array(3 * (counts.length + 2))
  const logWidth = Math.log(width)
  let [count, length, logs] = [0, 0, 0]
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i] as number
    if (n > 0) {
      count += n
      length += width
      logs += n * ((LOGARITHMS[n] ?? Math.log(n)) - logWidth)
    }
    const at = 3 * (i + 1)
    sums[at] = count
    sums[at + 1] = length
    sums[at + 2] = logs
  }
  sums.copyWithin(sums.length - 3, sums.length - 6, sums.length - 3)
  return sums
}
