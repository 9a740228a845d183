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

  /** How many of the next `count` elements are taken. */
  picks(count: number): number {
    return Math.max(0, Math.ceil((count - this.start) / this.step))
  }

  pick(values: Float32Array): Float32Array {
    return Float32Array.from(
      { length: this.picks(values.length) },
      (_, i) => values[this.start + i * this.step] as number,
    )
  }
}

/** Elements to count one by one, and a sample of the rest. */
export interface Elements {
  readonly sample: Float32Array
  readonly tails: Float32Array
}

/** What of a batch left the engine: a sample of all rows, and of each row the blocks with the largest magnitudes. */
export interface BatchElements {
  readonly rows: number
  /** Elements of a row. */
  readonly size: number
  readonly sample: Float32Array
  readonly blocks: Float32Array
  /** Elements of a block. */
  readonly block: number
}

/**
 * Parts elements that are known one by one from those that the sample stands for. The blocks that a row kept have every element of
 * the row whose magnitude exceeds the least of their maxima; below that bound, which is each row's own, the sample speaks.
 */
export function partElements({ rows, size, sample, blocks, block }: BatchElements, position: SamplePosition): Elements {
  if (blocks.length === rows * size) return { sample: new Float32Array(0), tails: blocks }
  const ofRow = blocks.length / rows
  const kept = new Float32Array(sample.length)
  const tails = new Float32Array(blocks.length)
  let [k, t] = [0, 0]
  for (let row = 0; row < rows; row++) {
    const end = (row + 1) * ofRow
    const bound = leastMaximum(blocks, row * ofRow, end, block)
    for (let i = row * ofRow; i < end; i++) {
      const x = blocks[i] as number
      if (x > bound || x < -bound) tails[t++] = x
    }
    const last = position.picks((row + 1) * size)
    for (let i = position.picks(row * size); i < last; i++) {
      const x = sample[i] as number
      if (x <= bound && x >= -bound) kept[k++] = x
    }
  }
  return { sample: kept.subarray(0, k), tails: tails.subarray(0, t) }
}

/** The least of the largest magnitudes of blocks. */
function leastMaximum(values: Float32Array, start: number, end: number, block: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let from = start; from < end; from += block) {
    let most = 0
    for (let i = from; i < from + block; i++) {
      const x = values[i] as number
      if (x > most) most = x
      else if (-x > most) most = -x
    }
    if (most < least) least = most
  }
  return least
}
