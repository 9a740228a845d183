import { type Histogram, HistogramBuilder, type TensorStats } from '../calibration/index.ts'
import { type Bars, barsOf } from './bars.ts'

/** A distribution in a few numbers. */
export interface Distribution {
  readonly count: number
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly std: number
  /** E[(x − μ)³] / σ³; 0 where σ is. */
  readonly skew: number
  /** E[(x − μ)⁴] / σ⁴; 0 where σ is. */
  readonly kurtosis: number
  readonly histogram: Bars
}

/** Of constant data: exact. */
export function distributionOf(values: ArrayLike<number>): Distribution {
  const count = values.length
  let [min, max, sum] = [Infinity, -Infinity, 0]
  for (let i = 0; i < count; i++) {
    const x = values[i] as number
    min = Math.min(min, x)
    max = Math.max(max, x)
    sum += x
  }
  if (count === 0) [min, max] = [0, 0]
  const mean = count > 0 ? sum / count : 0
  const about = new CentralMoments(mean)
  for (let i = 0; i < count; i++) about.add(values[i] as number, 1)
  const builder = new HistogramBuilder()
  // What is not finite has no place on any grid.
  if (count > 0 && Number.isFinite(sum)) builder.add(Float32Array.from(values), min, max)
  const std = Math.sqrt(about.moment(2))
  return { count, min, max, mean, std, ...about.shape(), histogram: barsOf(builder.build()) }
}

/**
 * Of a measured value with a histogram and moments: extremes, mean and deviation of all elements; the shape from the histogram's bins, of
 * which there are thousands.
 */
export function distributionOfStats({ count, min, max, moments, histogram }: TensorStats): Distribution {
  const { width, first, counts } = histogram ?? EMPTY
  const mean = (moments?.sum ?? 0) / Math.max(count, 1)
  const variance = (moments?.sumOfSquares ?? 0) / Math.max(count, 1) - mean * mean
  const about = new CentralMoments(mean)
  counts.forEach((n, i) => {
    if (n > 0) about.add((first + i + 0.5) * width, n)
  })
  const bars = barsOf(histogram ?? EMPTY)
  return { count, min, max, mean, std: Math.sqrt(Math.max(variance, 0)), ...about.shape(), histogram: bars }
}

const EMPTY: Histogram = { width: 1, first: 0, counts: new Float64Array(0) }

class CentralMoments {
  readonly #mean: number
  readonly #sums = [0, 0, 0, 0, 0]

  constructor(mean: number) {
    this.#mean = mean
  }

  add(x: number, weight: number): void {
    const d = x - this.#mean
    let power = weight
    for (let k = 0; k <= 4; k++, power *= d) this.#sums[k] = (this.#sums[k] as number) + power
  }

  moment = (k: number): number => (this.#sums[k] as number) / Math.max(this.#sums[0] as number, 1)

  shape(): { readonly skew: number; readonly kurtosis: number } {
    const variance = this.moment(2)
    if (!(variance > 0)) return { skew: 0, kurtosis: 0 }
    return { skew: this.moment(3) / variance ** 1.5, kurtosis: this.moment(4) / variance ** 2 }
  }
}
