import { paramsOfRows, refitRows, shrink } from './fit-scales.ts'
import {
  type CodeMatrix,
  dot,
  gramOf,
  nearestCode,
  type RoundingProblem,
  rowError,
  rowSets,
  rowsOf,
  timesGram,
} from './rounding-problem.ts'

/** Turns of refitting scales and rounding again. */
const MOST_TURNS = 6
/** A turn that gains less than this share is the last. */
const LEAST_GAIN = 1e-3

/**
 * Sets scales to where eᵀ G e is least when codes are the nearest ones: first shrunk, then in turns with least squares against the codes,
 * one scale after the other, which also tells apart the scales of one row.
 * @returns the nearest codes on these scales.
 */
export function nearestScales(problem: RoundingProblem): CodeMatrix {
  const codes = new Int32Array(rowsOf(problem) * problem.terms)
  for (const rows of rowSets(problem)) {
    const judge = (): number => rows.reduce((sum, row) => sum + roundNearest(problem, row, codes), 0)
    fitInTurns(problem, rows, codes, shrink(problem, rows, judge), judge)
  }
  return codes
}

/** @returns eᵀ G e of the row. */
function roundNearest(problem: RoundingProblem, row: number, codes: CodeMatrix): number {
  const { terms, target } = problem
  for (let at = row * terms; at < (row + 1) * terms; at++) codes[at] = nearestCode(problem, at, target[at] as number)
  const e = rowError(problem, codes, row)
  return dot(e, timesGram(gramOf(problem, row), e))
}

/** The nearest codes are not the best ones, so that a turn may lose; then it is taken back. */
function fitInTurns(
  problem: RoundingProblem,
  rows: readonly number[],
  codes: CodeMatrix,
  start: number,
  judge: () => number,
): void {
  const { scale } = problem
  const params = paramsOfRows(problem, rows)
  let best = start
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const kept = params.map((p) => scale[p] as number)
    refitRows(problem, codes, rows)
    const now = judge()
    if (!(now < best)) {
      for (const [i, p] of params.entries()) scale[p] = kept[i] as number
      judge()
      return
    }
    if (now > best * (1 - LEAST_GAIN)) return
    best = now
  }
}
