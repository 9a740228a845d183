import { randomProblem } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { damped } from './cholesky.ts'
import { descendInTurns } from './choose-codes.ts'
import { refitScales, searchScales } from './fit-scales.ts'
import { nearestPlane, planeOf, roundRow } from './nearest-plane.ts'
import { objective, type RoundingProblem, rowObjectives, rowsOf } from './rounding-problem.ts'

const OPTIONS = { damping: 0.01, activationOrder: false }

const copyOf = (problem: RoundingProblem): RoundingProblem => ({ ...problem, scale: problem.scale.slice() })

describe('scales', () => {
  it('refitted one by one, leave nothing to gain by changing the last of them', () => {
    const base = randomProblem(6, { rows: 2, terms: 8, bits: 4 })
    // Two scales a row, the second with a zero point.
    const problem = {
      ...base,
      param: base.param.map((row, at) => row * 2 + Math.floor((at % 8) / 4)),
      scale: Float64Array.from([0.3, 0.4, 0.35, 0.3]),
      zeroPoint: Float64Array.from([0, 2, 0, -1]),
    }
    const codes = nearestPlane(problem, OPTIONS)
    const before = objective(problem, codes)
    refitScales(problem, codes)
    const after = objective(problem, codes)
    expect(after).toBeLessThan(before)
    for (const p of [1, 3]) {
      for (const factor of [0.99, 1.01]) {
        const other = copyOf(problem)
        other.scale[p] = factor * (problem.scale[p] as number)
        expect(objective(other, codes)).toBeGreaterThan(after)
      }
    }
  })

  it('are searched for by the objective that GPTQ reaches on them', () => {
    const problem = randomProblem(7, { rows: 4, terms: 10, bits: 3 })
    // Much too wide: a third of the codes would do.
    problem.scale.forEach((s, p) => {
      problem.scale[p] = 2 * s
    })
    const fixed = objective(problem, nearestPlane(problem, OPTIONS))
    const searched = copyOf(problem)
    const codes = searchScales(searched, OPTIONS)
    expect([...codes]).toEqual([...nearestPlane(searched, OPTIONS)])
    expect(objective(searched, codes)).toBeLessThan(0.6 * fixed)
    for (const [p, s] of searched.scale.entries()) expect(s).toBeLessThan(problem.scale[p] as number)
  })

  it('are judged by eᵀ G e of the damped G', () => {
    const problem = randomProblem(8, { rows: 3, terms: 9, bits: 4 })
    const plane = planeOf(problem.gram, 9, OPTIONS)
    const codes = new Int32Array(27)
    const found = Array.from({ length: rowsOf(problem) }, (_, row) => roundRow(problem, plane, row, codes))
    const expected = rowObjectives({ ...problem, gram: damped(problem.gram, 9, OPTIONS.damping) }, codes)
    for (const [row, v] of found.entries()) expect(v).toBeCloseTo(expected[row] as number, 9)
  })

  it('and codes in turns only gain', () => {
    const problem = randomProblem(9, { rows: 4, terms: 10, bits: 3 })
    const codes = searchScales(problem, OPTIONS)
    const before = objective(problem, codes)
    descendInTurns(problem, codes, false)
    const descended = objective(problem, codes)
    descendInTurns(problem, codes, true)
    expect(descended).toBeLessThanOrEqual(before)
    expect(objective(problem, codes)).toBeLessThan(descended)
  })
})
