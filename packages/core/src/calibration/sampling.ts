/**
 * Stride that takes about `elements` of `size` elements. It has no factor in common with `size`, so that it has none with any
 * dimension: successive picks walk through all columns, rows and channels, and the phase differs from sample to sample.
 */
export function sampleStep(size: number, elements: number): number {
  let step = Math.max(1, Math.ceil(size / elements))
  while (step > 1 && gcd(Math.round(size), step) > 1) step++
  return step
}

function gcd(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b]
  return a
}

/** Takes every `step`-th element of a value's elements over the whole run, wherever batches begin and end. */
export class SamplePosition {
  readonly step: number
  /** Index of the first pick in the next batch. */
  start = 0

  constructor(step: number) {
    this.step = step
  }

  /** Moves on past a batch of `count` elements. */
  advance(count: number): void {
    this.start = (((this.start - count) % this.step) + this.step) % this.step
  }

  pick(values: Float32Array): Float32Array {
    const length = Math.max(0, Math.ceil((values.length - this.start) / this.step))
    return Float32Array.from({ length }, (_, i) => values[this.start + i * this.step] as number)
  }
}
