import { roundHalfEven } from '../../util/index.ts'

/**
 * One layer's weights, whose codes q are to be chosen so that tr(E G Eᵀ) is small, E = W − scale · (q − zeroPoint). That is the expected squared
 * error of the layer's outputs, where G = E[x xᵀ]. Rows are independent; those of group g see the g-th matrix of `gram`.
 */
export interface RoundingProblem {
  readonly groups: number
  /** Of each group. */
  readonly rows: number
  readonly terms: number
  /** W, [groups · rows, K]. */
  readonly target: Float64Array
  /** G, [groups, K, K]. */
  readonly gram: Float64Array
  /** Which of the scales an element has, [groups · rows, K]. */
  readonly param: Uint32Array
  readonly scale: Float64Array
  readonly zeroPoint: Float64Array
  readonly quantMin: number
  readonly quantMax: number
  /** Scales have to stay powers of two. */
  readonly powerOfTwo?: boolean
}

/** Codes of a problem, [groups · rows, K]. */
export type CodeMatrix = Int32Array

export const rowsOf = ({ groups, rows }: RoundingProblem): number => groups * rows

/** G of the row's group. */
export function gramOf({ gram, rows, terms }: RoundingProblem, row: number): Float64Array {
  const start = Math.floor(row / rows) * terms * terms
  return gram.subarray(start, start + terms * terms)
}

/** Rows that have scales in common, in order: a scale's elements lie in one of these sets. */
export function rowSets(problem: RoundingProblem): number[][] {
  const sets = new Map<number, number[]>()
  for (let row = 0; row < rowsOf(problem); row++) {
    const first = problem.param[row * problem.terms] as number
    const set = sets.get(first)
    if (set) set.push(row)
    else sets.set(first, [row])
  }
  return [...sets.values()]
}

/** A real code, unrounded: target / scale + zeroPoint, to the nearest code that there is. */
export function nearestCode(problem: RoundingProblem, at: number, target: number): number {
  const p = problem.param[at] as number
  const code = roundHalfEven(target / (problem.scale[p] as number)) + (problem.zeroPoint[p] as number)
  return Math.min(Math.max(code, problem.quantMin), problem.quantMax)
}

export function roundToNearest(problem: RoundingProblem): CodeMatrix {
  return Int32Array.from(problem.target, (w, at) => nearestCode(problem, at, w))
}

/** The number that a code stands for. */
export function realValue({ param, scale, zeroPoint }: RoundingProblem, at: number, code: number): number {
  const p = param[at] as number
  return (code - (zeroPoint[p] as number)) * (scale[p] as number)
}

/** W − Ŵ of one row. */
export function rowError(problem: RoundingProblem, codes: CodeMatrix, row: number): Float64Array {
  const { terms, target } = problem
  const error = new Float64Array(terms)
  for (let k = 0; k < terms; k++) {
    const at = row * terms + k
    error[k] = (target[at] as number) - realValue(problem, at, codes[at] as number)
  }
  return error
}

/** G e. */
export function timesGram(gram: Float64Array, e: Float64Array): Float64Array {
  const terms = e.length
  const product = new Float64Array(terms)
  for (let k = 0; k < terms; k++) {
    const x = e[k] as number
    if (x === 0) continue
    const start = k * terms
    for (let j = 0; j < terms; j++) product[j] = (product[j] as number) + x * (gram[start + j] as number)
  }
  return product
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

/** eᵀ G e of each row. */
export function rowObjectives(problem: RoundingProblem, codes: CodeMatrix): Float64Array {
  return Float64Array.from({ length: rowsOf(problem) }, (_, row) => {
    const e = rowError(problem, codes, row)
    return Math.max(0, dot(e, timesGram(gramOf(problem, row), e)))
  })
}

/** tr(E G Eᵀ). */
export const objective = (problem: RoundingProblem, codes: CodeMatrix): number =>
  rowObjectives(problem, codes).reduce((a, b) => a + b, 0)
