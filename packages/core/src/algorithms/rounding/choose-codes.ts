import { descend } from './descend.ts'
import { refitScales, searchScales } from './fit-scales.ts'
import { type NearestPlaneOptions, nearestPlane } from './nearest-plane.ts'
import { type CodeMatrix, objective, type RoundingProblem } from './rounding-problem.ts'

/** GPTQ on scales as they are, or on those that suit it. */
export function startCodes(problem: RoundingProblem, scales: string, options: NearestPlaneOptions): CodeMatrix {
  return scales === 'fixed' ? nearestPlane(problem, options) : searchScales(problem, options)
}

/** Turns of refitting scales and moving codes. */
const MOST_TURNS = 8
/** A turn that gains less than this share is the last. */
const LEAST_GAIN = 1e-3

/** Coordinate descent; with `refit`, in turns with least squares on the scales, as long as both gain. */
export function descendInTurns(problem: RoundingProblem, codes: CodeMatrix, refit: boolean): void {
  descend(problem, codes)
  if (!refit) return
  let before = objective(problem, codes)
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    refitScales(problem, codes)
    descend(problem, codes)
    const after = objective(problem, codes)
    if (after > before * (1 - LEAST_GAIN)) return
    before = after
  }
}
