import { leastObjective, randomProblem } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { descend } from './descend.ts'
import { objective, roundToNearest, rowObjectives } from './rounding-problem.ts'

describe('coordinate descent', () => {
  it('ends where no single code can be changed for the better, never above rounding to the nearest', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const problem = randomProblem(seed, { rows: 3, terms: 6, bits: 3 })
      const nearest = roundToNearest(problem)
      const codes = nearest.slice()
      const moves = descend(problem, codes)
      const found = objective(problem, codes)
      expect(found).toBeLessThanOrEqual(objective(problem, nearest) * (1 + 1e-12))
      expect(moves === 0).toBe(nearest.join() === codes.join())
      codes.forEach((code, at) => {
        for (let other = problem.quantMin; other <= problem.quantMax; other++) {
          codes[at] = other
          expect(objective(problem, codes)).toBeGreaterThanOrEqual(found * (1 - 1e-9))
        }
        codes[at] = code
      })
    }
  })

  it('comes near to the best of all codes', () => {
    let [sum, least, rounded] = [0, 0, 0]
    for (let seed = 1; seed <= 12; seed++) {
      const problem = randomProblem(seed, { rows: 1, terms: 5, bits: 3 })
      const codes = roundToNearest(problem)
      rounded += objective(problem, codes)
      descend(problem, codes)
      const optimum = leastObjective(problem)
      expect(objective(problem, codes)).toBeGreaterThanOrEqual(optimum * (1 - 1e-9))
      sum += objective(problem, codes)
      least += optimum
    }
    // Of what nearest loses to the optimum, single moves win back most.
    expect(rounded - sum).toBeGreaterThan(0.5 * (rounded - least))
  })

  it('is rounding to the nearest where inputs are uncorrelated', () => {
    const problem = randomProblem(4, { rows: 2, terms: 7, bits: 4 })
    problem.gram.forEach((_, i) => {
      problem.gram[i] = i % 8 === 0 ? 1 + i : 0
    })
    const codes = roundToNearest(problem)
    expect(descend(problem, codes)).toBe(0)
    // From anywhere else it goes there.
    const far = codes.map(() => problem.quantMin)
    descend(problem, far)
    expect([...far]).toEqual([...codes])
  })

  it('sees each group’s own inputs', () => {
    const problem = randomProblem(9, { groups: 2, rows: 2, terms: 4, bits: 3 })
    const codes = roundToNearest(problem)
    descend(problem, codes)
    const second = {
      ...problem,
      groups: 1,
      target: problem.target.slice(8),
      gram: problem.gram.slice(16),
      param: problem.param.slice(8),
    }
    const alone = roundToNearest(second)
    descend(second, alone)
    expect([...codes.slice(8)]).toEqual([...alone])
    expect([...rowObjectives(problem, codes).slice(2)]).toEqual([...rowObjectives(second, alone)])
  })
})
