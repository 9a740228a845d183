import { leastObjective, randomProblem } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { damped } from './cholesky.ts'
import { nearestPlane } from './nearest-plane.ts'
import { nearestCode, objective, type RoundingProblem, realValue, roundToNearest } from './rounding-problem.ts'

/**
 * Optimal brain quantization in a given order (Frantar 2022, arXiv:2208.11580; GPTQ's equations 2 and 3), one column after the other, with the whole
 * inverse updated by Gauss-Jordan elimination: no Cholesky factor, no blocks.
 */
function obq(problem: RoundingProblem, order: readonly number[], damping: number): Int32Array {
  const { rows, terms, gram } = problem
  const codes = new Int32Array(rows * terms)
  for (let row = 0; row < rows; row++) {
    const w = problem.target.slice(row * terms, (row + 1) * terms)
    const inverse = inverted(damped(gram, terms, damping), terms)
    for (const k of order) {
      const at = row * terms + k
      codes[at] = nearestCode(problem, at, w[k] as number)
      const pivot = inverse[k]?.[k] as number
      const error = ((w[k] as number) - realValue(problem, at, codes[at] as number)) / pivot
      const column = inverse.map((line) => line[k] as number)
      for (let j = 0; j < terms; j++) w[j] = (w[j] as number) - error * (column[j] as number)
      inverse.forEach((line, i) => {
        for (let j = 0; j < terms; j++)
          line[j] = (line[j] as number) - ((column[i] as number) * (column[j] as number)) / pivot
      })
    }
  }
  return codes
}

function inverted(a: Float64Array, n: number): number[][] {
  const m = Array.from({ length: n }, (_, i) => [
    ...a.slice(i * n, (i + 1) * n),
    ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)),
  ])
  for (let k = 0; k < n; k++) {
    const pivot = m[k]?.[k] as number
    m[k] = (m[k] as number[]).map((x) => x / pivot)
    m.forEach((line, i) => {
      const factor = line[k] as number
      if (i !== k) m[i] = line.map((x, j) => x - factor * (m[k]?.[j] as number))
    })
  }
  return m.map((line) => line.slice(n))
}

const inOrder = Array.from({ length: 12 }, (_, k) => k)

describe('GPTQ', () => {
  it('finds the codes of OBQ, column by column with full updates of the inverse', () => {
    for (let seed = 1; seed <= 8; seed++) {
      const problem = randomProblem(seed, { rows: 4, terms: 12, bits: 3 })
      const codes = nearestPlane(problem, { damping: 0.01, activationOrder: false })
      expect([...codes]).toEqual([...obq(problem, inOrder, 0.01)])
    }
  })

  it('finds them in the order of second moments', () => {
    const problem = randomProblem(3, { rows: 3, terms: 12, bits: 4 })
    const order = inOrder.toSorted((a, b) => (problem.gram[b * 13] as number) - (problem.gram[a * 13] as number))
    expect(order).not.toEqual(inOrder)
    const codes = nearestPlane(problem, { damping: 0.05, activationOrder: true })
    expect([...codes]).toEqual([...obq(problem, order, 0.05)])
  })

  it('finds them on scales of groups, and in each group of a grouped layer', () => {
    const base = randomProblem(5, { groups: 2, rows: 2, terms: 12, bits: 3 })
    // Three scales a row.
    const problem = {
      ...base,
      param: base.param.map((row, at) => row * 3 + Math.floor((at % 12) / 4)),
      scale: Float64Array.from({ length: 12 }, (_, p) => 0.4 + 0.02 * p),
      zeroPoint: Float64Array.from({ length: 12 }, (_, p) => (p % 3) - 1),
    }
    const second = {
      ...problem,
      groups: 1,
      target: problem.target.slice(24),
      gram: problem.gram.slice(144),
      param: problem.param.slice(24),
    }
    const codes = nearestPlane(problem, { damping: 0.01, activationOrder: false })
    expect([...codes.slice(0, 24)]).toEqual([...obq({ ...problem, groups: 1 }, inOrder, 0.01)])
    expect([...codes.slice(24)]).toEqual([...obq(second, inOrder, 0.01)])
  })

  it('is far better than rounding to the nearest, and never better than the best of all codes', () => {
    let [found, rounded] = [0, 0]
    for (let seed = 1; seed <= 20; seed++) {
      const problem = randomProblem(seed, { rows: 2, terms: 12, bits: 4 })
      found += objective(problem, nearestPlane(problem, { damping: 0.01, activationOrder: true }))
      rounded += objective(problem, roundToNearest(problem))
    }
    expect(found).toBeLessThan(0.5 * rounded)
    for (let seed = 1; seed <= 4; seed++) {
      const problem = randomProblem(seed, { rows: 1, terms: 4, bits: 3 })
      const codes = nearestPlane(problem, { damping: 0.01, activationOrder: false })
      expect(objective(problem, codes)).toBeGreaterThanOrEqual(leastObjective(problem) * (1 - 1e-9))
    }
  })

  it('takes inputs that never move', () => {
    const problem = randomProblem(2, { rows: 2, terms: 6, bits: 4 })
    problem.gram.forEach((_, i) => {
      if (i % 6 === 2 || Math.floor(i / 6) === 2) problem.gram[i] = 0
    })
    const codes = nearestPlane(problem, { damping: 0.01, activationOrder: false })
    expect(codes[2]).toBe(roundToNearest(problem)[2])
  })
})
