import type { QuantSpec } from '../quant/index.ts'
import type { Observer, TensorStats } from './define.ts'
import { minmaxScale, type SplitCost, searchGrid } from './grid-search.ts'
import { type OneSided, sidesOf } from './one-sided.ts'

/** Least Kullback-Leibler divergence between the clipped data and what the codes say of it. See docs/observers/entropy.md. */
export const entropy: Observer = {
  name: 'entropy',
  summary: 'the range whose codes keep most of the distribution (Kullback-Leibler)',
  defaults: {},
  wants: 'histogram',
  range: (stats, spec) => searchGrid(stats, spec, divergence(stats, spec), DEPTH),
}

/** The finest scale tried is the min-max scale over this. */
const DEPTH = 16

/** Clipped values are piled up on this share of the last code's cell: one bin of the 2048 that 128 codes usually have. */
const PILE_SHARE = 1 / 16

/**
 * D(P‖Q) of a grid (Migacz, "8-bit inference with TensorRT", GTC 2017): P is the histogram with everything beyond the last code's
 * cell piled up at its edge; Q knows only how many values inside the range each code got, and spreads them evenly over the places
 * within the cell where there are any. With n for counts, per unit of length, the cells contribute Σ n·ln n − c·ln(c/l), for c
 * values on l occupied places, and the sum to any code comes from prefix sums of the histogram.
 */
function divergence(stats: TensorStats, spec: QuantSpec): (scale: number) => SplitCost {
  const alwaysZero = minmaxScale(stats, spec) / DEPTH / 2
  const { negative, positive } = sidesOf(stats)
  const codes = spec.quantMax - spec.quantMin
  const below = new Cells(without(negative, alwaysZero), codes)
  const above = new Cells(without(positive, alwaysZero), codes)
  const total = below.total + above.total
  return (scale) => {
    below.seek(scale / 2)
    above.seek(scale / 2)
    const zero = cellCost(below.count + above.count, below.length + above.length, below.logs + above.logs)
    below.sweep(scale)
    above.sweep(scale)
    return (n, p) => {
      const inside = (below.inside[n] as number) + (above.inside[p] as number)
      const cells = zero + (below.cost[n] as number) + (above.cost[p] as number)
      return inside > 0 ? cells / total + Math.log(inside / total) : Number.POSITIVE_INFINITY
    }
  }
}

/**
 * What every grid under consideration rounds to zero says nothing about which to take. Left in, the zeros after a ReLU outweigh all
 * else and drive the scale down.
 */
function without({ width, counts }: OneSided, bound: number): OneSided {
  const kept = (n: number, i: number): number => (i * width < bound ? 0 : n)
  return { width, counts: counts.map(kept) }
}

/** What smoothing costs a cell with `count` values on `length` occupied places, whose Σ n·ln n is `logs`. */
const cellCost = (count: number, length: number, logs: number): number =>
  count > 0 ? logs - count * Math.log(count / length) : 0

/** n·ln(n / expected), continued by 0. */
const pileCost = (n: number, expected: number): number => (n > 0 ? n * Math.log(n / expected) : 0)

/** Prefix sums over one side of a histogram, and the divergence of its cells at the scale last swept. */
class Cells {
  readonly total: number
  /** By code k: values that codes up to k cover, and the divergence of cells 1 to k with the tail piled up on cell k. */
  readonly inside: Float64Array
  readonly cost: Float64Array
  /** Sums over [0, bound) after `seek(bound)`: values, occupied length, values times the logarithm of their density. */
  count = 0
  length = 0
  logs = 0
  readonly #width: number
  readonly #counts: Float64Array
  readonly #lengths: Float64Array
  readonly #logs: Float64Array

  constructor({ width, counts }: OneSided, codes: number) {
    const size = counts.length + 1
    this.inside = new Float64Array(codes + 1)
    this.cost = new Float64Array(codes + 1)
    this.#width = width
    this.#counts = new Float64Array(size)
    this.#lengths = new Float64Array(size)
    this.#logs = new Float64Array(size)
    counts.forEach((n, i) => {
      this.#counts[i + 1] = (this.#counts[i] as number) + n
      this.#lengths[i + 1] = (this.#lengths[i] as number) + (n > 0 ? width : 0)
      this.#logs[i + 1] = (this.#logs[i] as number) + (n > 0 ? n * Math.log(n / width) : 0)
    })
    this.total = this.#counts[counts.length] as number
  }

  seek(bound: number): void {
    const position = bound / this.#width
    this.count = interpolate(this.#counts, position)
    this.length = interpolate(this.#lengths, position)
    this.logs = interpolate(this.#logs, position)
  }

  sweep(scale: number): void {
    let [cells, count, length, logs] = [0, 0, 0, 0]
    for (let k = 0; k < this.cost.length; k++) {
      if (count === this.total) {
        this.inside.fill(this.total, k)
        this.cost.fill(cells, k)
        return
      }
      this.seek((k + 0.5) * scale)
      const cellCount = this.count - count
      const cellLength = this.length - length
      if (k > 0) cells += cellCost(cellCount, cellLength, this.logs - logs)
      count = this.count
      length = this.length
      logs = this.logs
      this.inside[k] = count
      this.cost[k] = cells + this.#tailCost((k + 0.5 - PILE_SHARE) * scale, count, cellCount, cellLength, scale)
    }
  }

  /** What piling the values beyond the last cell up at its edge costs; infinite if that cell is empty and Q says "never". */
  #tailCost(pileStart: number, inside: number, cellCount: number, cellLength: number, scale: number): number {
    const tail = this.total - inside
    if (tail === 0) return 0
    if (!(cellCount > 0)) return Number.POSITIVE_INFINITY
    const expected = (cellCount / cellLength) * scale * PILE_SHARE
    const present = inside - interpolate(this.#counts, pileStart / this.#width)
    return pileCost(present + tail, expected) - pileCost(present, expected)
  }
}

function interpolate(sums: Float64Array, position: number): number {
  const bin = Math.floor(position)
  if (bin >= sums.length - 1) return sums[sums.length - 1] as number
  const start = sums[bin] as number
  return start + (position - bin) * ((sums[bin + 1] as number) - start)
}
