import type { Tensor } from '../../ir/index.ts'
import { forEachRun, type QuantParams } from '../../quant/index.ts'
import { invariant } from '../../util/index.ts'
import { cholesky, damped, solveCholesky } from './cholesky.ts'
import type { InputMoments } from './moments.ts'
import type { RoundingProblem } from './rounding-problem.ts'
import type { WeightedLayer } from './weighted-layer.ts'

export interface ProblemOptions {
  /** A bias takes up the mean error, so that only the error's variance counts. */
  readonly centred: boolean
  /** Damping of the regression of float inputs on quantized ones, as a share of G's mean diagonal. */
  readonly damping: number
}

/**
 * The rounding problem of a layer. Where moments of pairs are known, E‖W x − Ŵ x̃‖² is wanted, and the target is what makes it least among
 * real matrices: W* = W E[x x̃ᵀ] G⁻¹, damped so that it stays at W in directions in which x̃ hardly moves.
 * @param weight as trained.
 */
export function layerProblem(
  layer: WeightedLayer,
  weight: Tensor,
  params: QuantParams,
  moments: InputMoments,
  options: ProblemOptions,
): RoundingProblem {
  const { groups, rows, terms, index } = layer
  const values = weight.numbers()
  const owner = new Uint32Array(values.length)
  forEachRun(weight.dims, params.spec.granularity, (start, end, p) => owner.fill(p, start, end))
  const problem = {
    ...{ groups, rows, terms },
    target: Float64Array.from(index, (at) => values[at] as number),
    gram: average(moments.gram, moments, options.centred ? moments.sum : undefined, moments.sum, groups, terms),
    param: Uint32Array.from(index, (at) => owner[at] as number),
    scale: Float64Array.from(params.scale),
    zeroPoint: Float64Array.from(params.zeroPoint),
    quantMin: params.spec.quantMin,
    quantMax: params.spec.quantMax,
    powerOfTwo: params.spec.powerOfTwo !== undefined,
  }
  const { cross, floatSum } = moments
  if (cross && floatSum) {
    const pairs = average(cross, moments, options.centred ? floatSum : undefined, moments.sum, groups, terms)
    regress(problem, pairs, options.damping)
  }
  return problem
}

/** Mean of products a bᵀ, about the means where the sums of `a` are given. */
function average(
  products: Float64Array,
  { count }: InputMoments,
  a: Float64Array | undefined,
  b: Float64Array,
  groups: number,
  terms: number,
): Float64Array {
  const mean = products.map((x) => x / count)
  if (!a) return mean
  for (let g = 0; g < groups; g++) {
    for (let i = 0; i < terms; i++) {
      const start = (g * terms + i) * terms
      const x = (a[g * terms + i] as number) / count ** 2
      for (let j = 0; j < terms; j++) mean[start + j] = (mean[start + j] as number) - x * (b[g * terms + j] as number)
    }
  }
  return mean
}

/** W ← W + W (E[x x̃ᵀ] − G) (G + λ)⁻¹. */
function regress(problem: RoundingProblem, cross: Float64Array, damping: number): void {
  const { groups, rows, terms, gram, target } = problem
  for (let g = 0; g < groups; g++) {
    const start = g * terms * terms
    const own = gram.subarray(start, start + terms * terms)
    const factor = damped(own, terms, damping)
    invariant(cholesky(factor, terms), () => 'a damped second moment is not positive definite')
    for (let row = g * rows; row < (g + 1) * rows; row++) {
      const w = target.subarray(row * terms, (row + 1) * terms)
      const shift = new Float64Array(terms)
      for (let i = 0; i < terms; i++) {
        const x = w[i] as number
        const at = start + i * terms
        for (let j = 0; j < terms; j++)
          shift[j] = (shift[j] as number) + x * ((cross[at + j] as number) - (gram[at + j] as number))
      }
      solveCholesky(factor, terms, shift)
      for (let j = 0; j < terms; j++) w[j] = (w[j] as number) + (shift[j] as number)
    }
  }
}
