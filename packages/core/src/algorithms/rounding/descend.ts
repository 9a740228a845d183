import { roundHalfEven } from '../../util/index.ts'
import { type CodeMatrix, gramOf, type RoundingProblem, rowError, rowsOf, timesGram } from './rounding-problem.ts'

/**
 * Coordinate descent on eᵀ G e over integer codes: one code of a row moves at a time, to the best code that there is for it while the others
 * stay, and G e is kept up to date. Codes go in order, in sweeps until one changes nothing, so that the result is a local optimum: no
 * single code can be changed for the better. Each move strictly lowers the objective, which ends it.
 * @param codes where to start; changed in place.
 * @returns number of moves.
 */
export function descend(problem: RoundingProblem, codes: CodeMatrix, mostSweeps = Number.POSITIVE_INFINITY): number {
  let moves = 0
  for (let row = 0; row < rowsOf(problem); row++) moves += descendRow(problem, codes, row, mostSweeps)
  return moves
}

/** Moves that gain less than this share of G_kk · scale² are rounding errors of the arithmetic. */
const LEAST_GAIN = 1e-9

function descendRow(problem: RoundingProblem, codes: CodeMatrix, row: number, mostSweeps: number): number {
  const { terms, param, scale, quantMin, quantMax } = problem
  const gram = gramOf(problem, row)
  const slope = timesGram(gram, rowError(problem, codes, row))
  let moves = 0
  for (let sweep = 0, before = -1; sweep < mostSweeps && moves > before; sweep++) {
    before = moves
    for (let k = 0; k < terms; k++) {
      const at = row * terms + k
      const s = scale[param[at] as number] as number
      const curvature = s * (gram[k * terms + k] as number)
      if (!(curvature > 0)) continue
      const code = codes[at] as number
      const best = code + roundHalfEven((slope[k] as number) / curvature)
      const step = Math.min(Math.max(best, quantMin), quantMax) - code
      // −2 s d g + s² d² G_kk
      if (step === 0 || step * (step * curvature - 2 * (slope[k] as number)) > -LEAST_GAIN * curvature) continue
      codes[at] = code + step
      subtractColumn(slope, gram, k, step * s)
      moves++
    }
  }
  return moves
}

/** slope ← slope − factor · G[:, k]; G is symmetric. */
function subtractColumn(slope: Float64Array, gram: Float64Array, k: number, factor: number): void {
  const start = k * slope.length
  for (let j = 0; j < slope.length; j++) slope[j] = (slope[j] as number) - factor * (gram[start + j] as number)
}
