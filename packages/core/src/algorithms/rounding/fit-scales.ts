import { type NearestPlaneOptions, type Plane, planeOf, roundRow } from './nearest-plane.ts'
import {
  type CodeMatrix,
  dot,
  gramOf,
  type RoundingProblem,
  rowError,
  rowSets,
  rowsOf,
  timesGram,
} from './rounding-problem.ts'

/**
 * Shares of the scales that are tried; the smallest ones are for layers whose outermost weights meet inputs that are always zero. Then thirds of the
 * way from the best share to its neighbours are tried.
 */
const SHARES = [1, 0.92, 0.84, 0.76, 0.68, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
/** Where scales are powers of two. */
const HALVES = [1, 0.5, 0.25, 0.125]

/**
 * Shrinks scales to where the rounded layer's output error is least. Each share is judged by what GPTQ makes of it. Scales of one row go together,
 * and rows that have scales in common.
 * @returns the codes on the scales that were found.
 */
export function searchScales(problem: RoundingProblem, options: NearestPlaneOptions): CodeMatrix {
  const planes = planesOf(problem, options)
  const codes = new Int32Array(rowsOf(problem) * problem.terms)
  const planeOfRow = (row: number) => planes[Math.floor(row / problem.rows)] as Plane
  for (const rows of rowSets(problem)) {
    shrink(problem, rows, () => rows.reduce((sum, row) => sum + roundRow(problem, planeOfRow(row), row, codes), 0))
  }
  return codes
}

function planesOf(problem: RoundingProblem, options: NearestPlaneOptions): Plane[] {
  return Array.from({ length: problem.groups }, (_, group) =>
    planeOf(gramOf(problem, group * problem.rows), problem.terms, options),
  )
}

/**
 * Shrinks the scales of some rows by a common share: outermost weights are cut off so that the others lie on a finer grid.
 * @param judge rounds the rows on the scales as they are, and says what error is left. It is called last on the scales that were found.
 * @returns that error.
 */
export function shrink(problem: RoundingProblem, rows: readonly number[], judge: () => number): number {
  const { scale, powerOfTwo } = problem
  const params = paramsOfRows(problem, rows)
  const before = params.map((p) => scale[p] as number)
  const judgeAt = (share: number): number => {
    for (const [i, p] of params.entries()) scale[p] = Math.fround(share * (before[i] as number))
    return judge()
  }
  if (powerOfTwo) return judgeAt(leastOf(HALVES, judgeAt).share)
  const coarse = leastOf(SHARES, judgeAt)
  return judgeAt(leastOf(between(coarse.share), judgeAt, coarse).share)
}

function between(share: number): number[] {
  const i = SHARES.indexOf(share)
  const neighbours = [SHARES[i - 1] ?? 1.08, SHARES[i + 1] ?? 0]
  return neighbours.flatMap((other) => [share + (other - share) / 3, share + (2 * (other - share)) / 3])
}

interface Judged {
  readonly share: number
  readonly objective: number
}

function leastOf(shares: readonly number[], judge: (share: number) => number, first?: Judged): Judged {
  let least = first ?? { share: 1, objective: Number.POSITIVE_INFINITY }
  for (const share of shares) {
    const objective = judge(share)
    if (objective < least.objective) least = { share, objective }
  }
  return least
}

/** The scales of some rows. */
export function paramsOfRows({ param, terms }: RoundingProblem, rows: readonly number[]): number[] {
  return [...new Set(rows.flatMap((row) => [...param.subarray(row * terms, (row + 1) * terms)]))]
}

/**
 * Sets each scale to where eᵀ G e is least for the codes as they are: s += cᵀ G e / cᵀ G c, where c are the codes that have this scale, less their
 * zero points, and 0 elsewhere. A scale that would leave the positive numbers stays.
 */
export function refitScales(problem: RoundingProblem, codes: CodeMatrix): void {
  for (const rows of rowSets(problem)) refitRows(problem, codes, rows)
}

/** The same for the scales of some rows. Powers of two stay. */
export function refitRows(problem: RoundingProblem, codes: CodeMatrix, rows: readonly number[]): void {
  if (problem.powerOfTwo) return
  for (const p of paramsOfRows(problem, rows)) refit(problem, codes, rows, p)
}

function refit(problem: RoundingProblem, codes: CodeMatrix, rows: readonly number[], p: number): void {
  const { terms, param, zeroPoint, scale } = problem
  let [slope, curvature] = [0, 0]
  for (const row of rows) {
    const c = new Float64Array(terms)
    for (let k = 0; k < terms; k++) {
      const at = row * terms + k
      if (param[at] === p) c[k] = (codes[at] as number) - (zeroPoint[p] as number)
    }
    const moved = timesGram(gramOf(problem, row), c)
    slope += dot(moved, rowError(problem, codes, row))
    curvature += dot(moved, c)
  }
  const fitted = Math.fround((scale[p] as number) + slope / curvature)
  if (fitted > 0 && Number.isFinite(fitted)) scale[p] = fitted
}
