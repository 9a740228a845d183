/** Σr², Σc², Σ(c − r)², max|c − r| and the number of elements of a part. */
export interface ErrorSums {
  readonly signal: number
  readonly candidate: number
  readonly noise: number
  readonly maxAbs: number
  readonly count: number
}

/**
 * Error of a candidate against a reference, accumulated over any number of tensors. All fields come from five sums, so that
 * accumulators of parts merge into the accumulator of the whole.
 */
export class ErrorAccumulator {
  #count = 0
  #noise = 0
  #signal = 0
  #candidate = 0
  #maxAbs = 0

  /** @param reference, candidate elements in the same order; the shorter length counts. */
  add(reference: ArrayLike<number>, candidate: ArrayLike<number>): this {
    const n = Math.min(reference.length, candidate.length)
    for (let i = 0; i < n; i++) {
      const r = reference[i] as number
      const c = candidate[i] as number
      const d = c - r
      this.#noise += d * d
      this.#signal += r * r
      this.#candidate += c * c
      const abs = Math.abs(d)
      if (!(abs <= this.#maxAbs)) this.#maxAbs = abs
    }
    this.#count += n
    return this
  }

  /** Adds a part of which only the sums are known. */
  addSums(part: ErrorSums): this {
    this.#signal += part.signal
    this.#candidate += part.candidate
    this.#noise += part.noise
    this.#count += part.count
    if (!(part.maxAbs <= this.#maxAbs)) this.#maxAbs = part.maxAbs
    return this
  }

  result(): ErrorMetrics {
    // Σrc from the other sums: Σ(c − r)² = Σc² + Σr² − 2Σrc.
    const cross = (this.#signal + this.#candidate - this.#noise) / 2
    const norms = Math.sqrt(this.#signal) * Math.sqrt(this.#candidate)
    return {
      sqnr: sqnrDb(this.#signal, this.#noise),
      cosine: norms > 0 ? cross / norms : this.#noise === 0 ? 1 : 0,
      mse: this.#count > 0 ? this.#noise / this.#count : 0,
      maxAbs: this.#maxAbs,
      count: this.#count,
    }
  }
}

export interface ErrorMetrics {
  /** Signal to quantization-noise ratio, 10·log10(Σr² / Σ(c − r)²), in dB; Infinity when equal. */
  readonly sqnr: number
  /** Σrc / (‖r‖‖c‖), in [-1, 1]. */
  readonly cosine: number
  /** Mean squared error. */
  readonly mse: number
  /** Largest |c − r|. */
  readonly maxAbs: number
  /** Elements compared. */
  readonly count: number
}

/**
 * SQNR in dB of the sums Σr² and Σ(c − r)². Higher is better. (PPQ's "SNR" is the inverse ratio without the logarithm.)
 */
export function sqnrDb(signal: number, noise: number): number {
  if (noise === 0) return Number.POSITIVE_INFINITY
  return signal === 0 ? Number.NEGATIVE_INFINITY : 10 * Math.log10(signal / noise)
}

/** Index of the largest element; the first of equals. */
export function argmax(values: ArrayLike<number>, from = 0, to = values.length): number {
  let best = from
  for (let i = from + 1; i < to; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best - from
}

/**
 * True if fewer than k elements of the row stand before element `label`: larger ones, and of equal ones the first, as `argmax` has it. A network
 * whose outputs are all the same, as few bits make it, would be right about everything if ties counted for the label.
 */
export function inTopK(values: ArrayLike<number>, label: number, k: number): boolean {
  const score = values[label]
  if (score === undefined || Number.isNaN(score)) return false
  let larger = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (value > score || (value === score && i < label)) larger++
  }
  return larger < k
}

/** Peak signal-to-noise ratio, 10·log10(peak² / mse), in dB. */
export function psnrDb(mse: number, peak: number): number {
  return mse === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((peak * peak) / mse)
}
