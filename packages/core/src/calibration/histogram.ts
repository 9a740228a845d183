import { invariant } from '../util/index.ts'
import type { Histogram } from './stats.ts'

/**
 * Most bins a histogram may have; it has more than half of them unless its range is empty. 8-bit quantization of the whole range
 * then has 16 to 32 bins to a step, and a range clipped to a tenth still more than one.
 */
export const MAX_BINS = 8192

/** Exponent of the smallest float32: no value needs narrower bins. */
const MIN_EXPONENT = -149

/**
 * Counts float32 values on a zero-aligned grid whose step is a power of two, the narrowest that holds the range seen so far and
 * zero in `MAX_BINS`. Scaling by a power of two and taking the floor are exact in floating point, and a coarser grid's edges are
 * edges of the finer one, so growing by adding neighbours loses nothing: any order and any split of the data give the same counts.
 */
export class HistogramBuilder {
  #exponent = MIN_EXPONENT
  #first = 0
  #counts = new Float64Array(1)

  static from(histogram: Histogram): HistogramBuilder {
    const builder = new HistogramBuilder()
    builder.merge(histogram)
    return builder
  }

  /**
   * Counts values that lie in [lo, hi]. The bounds come from the caller, who has them exactly for the whole tensor and may pass a
   * sample of its elements.
   */
  add(values: Float32Array, lo: number, hi: number, start = 0, end = values.length): void {
    this.#cover(lo, hi)
    const counts = this.#counts
    const first = this.#first
    const perWidth = 2 ** -this.#exponent
    for (let i = start; i < end; i++) {
      const bin = Math.floor((values[i] as number) * perWidth) - first
      counts[bin] = (counts[bin] as number) + 1
    }
  }

  merge(other: Histogram): void {
    const exponent = Math.log2(other.width)
    invariant(Number.isInteger(exponent), () => `histogram width ${other.width} is not a power of two`)
    const last = other.first + other.counts.length - 1
    this.#coverBins(exponent, other.first, last)
    const shift = this.#exponent - exponent
    addShifted(this.#counts, this.#first, other.counts, other.first, shift)
  }

  /** A copy of what has been counted, every count taken `weight` times. */
  build(weight = 1): Histogram {
    const counts = this.#counts.slice()
    if (weight !== 1) for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] as number) * weight
    return { width: 2 ** this.#exponent, first: this.#first, counts }
  }

  #cover(lo: number, hi: number): void {
    const exponent = Math.max(this.#exponent, Math.ceil(Math.log2((hi - lo) / MAX_BINS)) - 1, MIN_EXPONENT)
    const perWidth = 2 ** -exponent
    this.#coverBins(exponent, Math.floor(lo * perWidth), Math.floor(hi * perWidth))
  }

  /** Makes room for bins `lo` to `hi` of the grid 2^exponent. */
  #coverBins(exponent: number, lo: number, hi: number): void {
    const target = Math.max(exponent, this.#exponent)
    let first = Math.min(binAt(lo, target - exponent), binAt(this.#first, target - this.#exponent), 0)
    let last = Math.max(binAt(hi, target - exponent), binAt(this.#last, target - this.#exponent), 0)
    let grown = target
    for (; last - first + 1 > MAX_BINS; grown++) {
      first = binAt(first, 1)
      last = binAt(last, 1)
    }
    this.#resize(grown, first, last)
  }

  #resize(exponent: number, first: number, last: number): void {
    if (exponent === this.#exponent && first === this.#first && last === this.#last) return
    const counts = new Float64Array(last - first + 1)
    addShifted(counts, first, this.#counts, this.#first, exponent - this.#exponent)
    this.#counts = counts
    // Not −0, which a value of −0 leaves: equal histograms are equal in every bit.
    this.#first = first + 0
    this.#exponent = exponent
  }

  get #last(): number {
    return this.#first + this.#counts.length - 1
  }
}

/** Index of a bin on a grid 2^shift times as wide. */
const binAt = (bin: number, shift: number): number => Math.floor(bin * 2 ** -shift)

function addShifted(to: Float64Array, toFirst: number, from: Float64Array, fromFirst: number, shift: number): void {
  const perWidth = 2 ** -shift
  for (let i = 0; i < from.length; i++) {
    const n = from[i] as number
    if (n === 0) continue
    const bin = Math.floor((fromFirst + i) * perWidth) - toFirst
    to[bin] = (to[bin] as number) + n
  }
}

export function mergeHistograms(a: Histogram, b: Histogram): Histogram {
  const builder = HistogramBuilder.from(a)
  builder.merge(b)
  return builder.build()
}
