import { describe, expect, it } from 'vitest'
import { clippedNormal, cumulative } from './clipped-normal.ts'

/** Mean and deviation of f over a normal distribution by the midpoint rule: 400,000 points over ±12σ. */
function integrated(mean: number, std: number, f: (x: number) => number) {
  const points = 400_000
  let [total, first, second] = [0, 0, 0]
  for (let i = 0; i < points; i++) {
    const z = -12 + (24 * (i + 0.5)) / points
    const weight = Math.exp((-z * z) / 2)
    const y = f(mean + std * z)
    total += weight
    first += weight * y
    second += weight * y * y
  }
  return { mean: first / total, std: Math.sqrt(second / total - (first / total) ** 2) }
}

describe('the clipped normal', () => {
  const cases = [
    [0, 1, 0, Infinity],
    [1.5, 2, 0, Infinity],
    [-3, 0.7, 0, Infinity],
    [2, 3, 0, 6],
    [-1, 0.5, -1, 1],
    [8, 1, 0, 6],
    [0.3, 1, -Infinity, 0.5],
    [0.3, 1, -Infinity, Infinity],
  ] as const

  it.each(cases)('N(%d, %d) cut to [%d, %d] has the moments of numerical integration', (mean, std, lo, hi) => {
    const expected = integrated(mean, std, (x) => Math.min(Math.max(x, lo), hi))
    const found = clippedNormal({ mean, std }, lo, hi)
    // The kink costs the midpoint rule h², here 1e-9; of a small deviation the root costs half the digits.
    expect(found.mean).toBeCloseTo(expected.mean, 8)
    expect(found.std).toBeCloseTo(expected.std, 6)
  })

  it('is a half-normal behind Relu at zero mean: σ/√(2π)', () => {
    expect(clippedNormal({ mean: 0, std: 3 }, 0, Infinity).mean).toBeCloseTo(3 / Math.sqrt(2 * Math.PI), 12)
  })

  it('is a constant where nothing varies', () => {
    expect(clippedNormal({ mean: -2, std: 0 }, 0, 6)).toEqual({ mean: 0, std: 0 })
  })

  it('rests on the normal distribution function', () => {
    // Abramowitz and Stegun, table 26.1 and 26.2.
    const table = [
      [0, 0.5],
      [1, 0.841344746068543],
      [-1.96, 0.02499789514822],
      [3, 0.99865010196837],
      [-6, 9.865876450377e-10],
    ] as const
    for (const [x, p] of table) expect(cumulative(x) / p).toBeCloseTo(1, 9)
    expect([cumulative(Infinity), cumulative(-Infinity)]).toEqual([1, 0])
  })
})
