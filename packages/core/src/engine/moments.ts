import type { Tensor } from '../ir/index.ts'

/** Running mean and variance, merged over any number of parts (Chan, Golub & LeVeque 1979). */
export class Moments {
  count = 0
  mean = 0
  min = Number.POSITIVE_INFINITY
  max = Number.NEGATIVE_INFINITY
  /** Elements that are NaN or infinite; they enter nothing else. */
  broken = 0
  #squares = 0

  get variance(): number {
    return this.count === 0 ? 0 : this.#squares / this.count
  }

  get std(): number {
    return Math.sqrt(this.variance)
  }

  /** Adds `values[from … to)`. */
  add(values: ArrayLike<number>, from = 0, to = values.length): void {
    for (let i = from; i < to; i++) {
      const x = values[i] as number
      if (!Number.isFinite(x)) {
        this.broken++
        continue
      }
      this.count++
      const delta = x - this.mean
      this.mean += delta / this.count
      this.#squares += delta * (x - this.mean)
      if (x < this.min) this.min = x
      if (x > this.max) this.max = x
    }
  }
}

/** Adds a tensor's elements to one accumulator for each index of an axis. */
export function addPerChannel(moments: readonly Moments[], tensor: Tensor, axis: number): void {
  const values = tensor.numbers()
  const inner = tensor.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  for (let i = 0; i < values.length; i += inner) {
    moments[(i / inner) % moments.length]?.add(values, i, i + inner)
  }
}
