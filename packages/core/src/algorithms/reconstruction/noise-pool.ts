import { Tensor } from '../../ir/index.ts'
import { type Rng, rng } from '../../util/index.ts'

/** Places at which a draw may begin. */
const PLACES = 2 ** 16

/**
 * Uniform numbers in [0, 1) for whole tensors, thousands of times: drawn once, and read from another place each time. Numbers of one
 * draw are independent, and so are those of one element from draw to draw, as far as places differ; drawing afresh would cost as much
 * as the step that they are for.
 */
export class NoisePool {
  readonly #random: Rng
  #numbers = new Float32Array(0)

  constructor(seed: number) {
    this.#random = rng(seed)
  }

  draw(dims: readonly number[]): Tensor {
    const size = dims.reduce((n, d) => n * d, 1)
    if (this.#numbers.length < size + PLACES) this.#fill(size + PLACES)
    const start = this.#random.int(PLACES)
    return Tensor.float32(dims, this.#numbers.subarray(start, start + size))
  }

  #fill(size: number): void {
    this.#numbers = new Float32Array(size)
    for (let i = 0; i < size; i++) this.#numbers[i] = this.#random.next()
  }
}
