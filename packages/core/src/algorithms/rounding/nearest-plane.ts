import { invariant } from '../../util/index.ts'
import { cholesky, damped } from './cholesky.ts'
import { type CodeMatrix, gramOf, nearestCode, type RoundingProblem, realValue, rowsOf } from './rounding-problem.ts'

export interface NearestPlaneOptions {
  /** Added to the diagonal of G, as a share of its mean. */
  readonly damping: number
  /** Inputs with the largest second moment first, instead of in order. */
  readonly activationOrder: boolean
}

/**
 * GPTQ (arXiv:2210.17323): codes are chosen one after the other, and the error of each is made good by the weights behind it.
 *
 * With G = R Rᵀ, R upper triangular, eᵀ G e = Σ_k (Σ_{j ≤ k} R_jk e_j)². Going through k in order, the weight that makes the k-th square
 * vanish given the errors so far is w_k + Σ_{j < k} R_jk e_j / R_kk, and its nearest code is taken. These are GPTQ's codes, because the Cholesky
 * factor of G⁻¹ that it works with is R⁻¹ (that GPTQ is Babai's nearest plane: arXiv:2507.18553); no inverse is needed.
 */
export function nearestPlane(problem: RoundingProblem, options: NearestPlaneOptions): CodeMatrix {
  const { groups, rows, terms } = problem
  const codes = new Int32Array(rowsOf(problem) * terms)
  for (let group = 0; group < groups; group++) {
    const plane = planeOf(gramOf(problem, group * rows), terms, options)
    for (let row = group * rows; row < (group + 1) * rows; row++) roundRow(problem, plane, row, codes)
  }
  return codes
}

export interface Plane {
  /** Inputs in the order in which they are rounded. */
  readonly order: readonly number[]
  /** Row k holds R_jk / R_kk for j < k, in that order. */
  readonly carry: Float64Array
  /** R_kk. */
  readonly pivot: Float64Array
}

/** What rounding needs to know of a G. */
export function planeOf(gram: Float64Array, terms: number, { damping, activationOrder }: NearestPlaneOptions): Plane {
  const order = Array.from({ length: terms }, (_, k) => k)
  const moment = (k: number) => gram[k * terms + k] as number
  if (activationOrder) order.sort((a, b) => moment(b) - moment(a) || a - b)
  // The upper factor is the lower one of the matrix read backwards.
  const factor = new Float64Array(terms * terms)
  const regular = damped(gram, terms, damping)
  for (let i = 0; i < terms; i++) {
    const from = (order[terms - 1 - i] as number) * terms
    for (let j = 0; j <= i; j++) factor[i * terms + j] = regular[from + (order[terms - 1 - j] as number)] as number
  }
  invariant(cholesky(factor, terms), () => 'a damped second moment is not positive definite')
  const carry = new Float64Array(terms * terms)
  const pivots = new Float64Array(terms)
  for (let k = 0; k < terms; k++) {
    const column = terms - 1 - k
    const pivot = factor[column * terms + column] as number
    pivots[k] = pivot
    for (let j = 0; j < k; j++) carry[k * terms + j] = (factor[(terms - 1 - j) * terms + column] as number) / pivot
  }
  return { order, carry, pivot: pivots }
}

/**
 * Rounds one row of a problem.
 * @returns eᵀ G e of the damped G.
 */
export function roundRow(problem: RoundingProblem, plane: Plane, row: number, codes: CodeMatrix): number {
  const { terms, target } = problem
  const { order, carry, pivot } = plane
  const errors = new Float64Array(terms)
  let objective = 0
  for (let k = 0; k < terms; k++) {
    let wanted = 0
    const start = k * terms
    for (let j = 0; j < k; j++) wanted += (carry[start + j] as number) * (errors[j] as number)
    const at = row * terms + (order[k] as number)
    const code = nearestCode(problem, at, (target[at] as number) + wanted)
    codes[at] = code
    const error = (target[at] as number) - realValue(problem, at, code)
    errors[k] = error
    objective += ((pivot[k] as number) * (error + wanted)) ** 2
  }
  return objective
}
