const BETA1 = 0.9
const BETA2 = 0.999
const EPSILON = 1e-8

/** Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with its defaults) on one array of parameters. */
export class Adam {
  readonly #first: Float64Array
  readonly #second: Float64Array
  #steps = 0

  constructor(size: number) {
    this.#first = new Float64Array(size)
    this.#second = new Float64Array(size)
  }

  /** Moves `x` in place against its gradient. */
  step(x: Float32Array, gradient: ArrayLike<number>, rate: number): void {
    const [m, v] = [this.#first, this.#second]
    this.#steps++
    const [c1, c2] = [1 - BETA1 ** this.#steps, 1 - BETA2 ** this.#steps]
    for (let i = 0; i < x.length; i++) {
      const g = gradient[i] ?? 0
      m[i] = BETA1 * (m[i] ?? 0) + (1 - BETA1) * g
      v[i] = BETA2 * (v[i] ?? 0) + (1 - BETA2) * g * g
      x[i] = (x[i] ?? 0) - (rate * (m[i] ?? 0)) / c1 / (Math.sqrt((v[i] ?? 0) / c2) + EPSILON)
    }
  }
}
