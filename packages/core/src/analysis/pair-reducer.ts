import { attribute, type Graph, GraphBuilder, Tensor, tensorType, type Value } from '../ir/index.ts'
import type { ErrorSums } from './metrics.ts'

const NUMBERS = 5
const KL_NUMBERS = 2

/** How class probabilities are read off an output. */
export interface ClassScores {
  /** The axis of the classes. */
  readonly axis: number
  /** They are probabilities already, and not scores that a softmax takes. */
  readonly areShares: boolean
}

/** Sums of Kullback-Leibler divergences and the number of distributions. */
export interface DivergenceSums {
  readonly divergence: number
  readonly rows: number
}

/** Writes the reductions of pairs of tensors: a few numbers for each, so that no activation leaves the engine. */
export class PairReducer {
  readonly #b: GraphBuilder
  readonly #one: Value

  constructor(graph: Graph) {
    this.#b = new GraphBuilder(graph)
    this.#one = this.#b.constant('fewbit_one', Tensor.int64([1], [1]))
  }

  /** @returns a float32 vector of this name, which `readSums` reads, and `readDivergence` where there are class scores. */
  add(output: string, r: Value, c: Value, scores?: ClassScores): Value {
    const [reference, candidate] = [this.#float(r), this.#float(c)]
    const difference = this.#b.op('Sub', [candidate, reference])
    const scalars = [
      this.#sum('ReduceSumSquare', reference),
      this.#sum('ReduceSumSquare', candidate),
      this.#sum('ReduceSumSquare', difference),
      this.#sum('ReduceMax', this.#b.op('Abs', [difference])),
      this.#float(this.#b.op('Size', [reference])),
      ...(scores ? this.#divergence(reference, candidate, scores) : []),
    ]
    const vectors = scalars.map((scalar) => this.#b.op('Reshape', [scalar, this.#one]))
    const types = [tensorType('float32', [vectors.length])]
    return this.#b.op('Concat', vectors, { axis: attribute.int(0) }, { output, types })
  }

  /** Σ p·(log p − log q), and Σ p, which is the number of distributions. */
  #divergence(r: Value, c: Value, scores: ClassScores): Value[] {
    const [logP, logQ] = [this.#logShares(r, scores), this.#logShares(c, scores)]
    const p = this.#b.op('Exp', [logP])
    const terms = this.#b.op('Mul', [p, this.#b.op('Sub', [logP, logQ])])
    return [this.#sum('ReduceSum', terms), this.#sum('ReduceSum', p)]
  }

  /** LogSoftmax of logarithms of shares is these themselves, and so serves both. */
  #logShares(x: Value, { axis, areShares }: ClassScores): Value {
    const least = this.#b.constant('fewbit_least', Tensor.float32([], [1e-30]))
    const scores = areShares ? this.#b.op('Log', [this.#b.op('Max', [x, least])]) : x
    return this.#b.op('LogSoftmax', [scores], { axis: attribute.int(axis) })
  }

  #sum = (type: string, x: Value): Value => this.#b.op(type, [x], { keepdims: attribute.int(0) })
  #float = (x: Value): Value => this.#b.op('Cast', [x], { to: attribute.int(1) })
}

export function readSums(numbers: ArrayLike<number> = []): ErrorSums {
  const [signal = 0, candidate = 0, noise = 0, maxAbs = 0, count = 0] = Array.from(numbers).slice(0, NUMBERS)
  return { signal, candidate, noise, maxAbs, count }
}

export function readDivergence(numbers: ArrayLike<number> = []): DivergenceSums | undefined {
  if (numbers.length < NUMBERS + KL_NUMBERS) return undefined
  return { divergence: numbers[NUMBERS] as number, rows: numbers[NUMBERS + 1] as number }
}
