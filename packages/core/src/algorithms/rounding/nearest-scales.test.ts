import { randomProblem } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { nearestScales } from './nearest-scales.ts'
import { objective, type RoundingProblem, roundToNearest, rowObjectives } from './rounding-problem.ts'

/** eᵀ G e of one row of four or six weights on a grid, written out. */
function errorAt({ target, gram, terms, quantMin, quantMax }: RoundingProblem, scaleOf: (k: number) => number): number {
  const e = Array.from({ length: terms }, (_, k) => {
    const w = target[k]!
    const code = Math.min(Math.max(Math.round(w / scaleOf(k)), quantMin), quantMax)
    return w - scaleOf(k) * code
  })
  let sum = 0
  for (let i = 0; i < terms; i++) for (let j = 0; j < terms; j++) sum += e[i]! * e[j]! * gram[i * terms + j]!
  return sum
}

/** So many scales from a twentieth of one to one and a tenth of it. */
const scalesAround = (scale: number, count: number) =>
  Array.from({ length: count }, (_, i) => scale * (0.05 + (1.05 * i) / (count - 1)))

const wide = (problem: RoundingProblem, factor: number): RoundingProblem => ({
  ...problem,
  scale: problem.scale.map((s) => factor * s),
})

describe('scales for the nearest codes', () => {
  it('come near to the best of all scales, and never lose', () => {
    let [found, least, before] = [0, 0, 0]
    for (let seed = 1; seed <= 20; seed++) {
      const problem = wide(randomProblem(seed, { rows: 1, terms: 6, bits: 3 }), 1.5)
      const start = objective(problem, roundToNearest(problem))
      least += Math.min(...scalesAround(problem.scale[0]!, 2000).map((s) => errorAt(problem, () => s)))
      const codes = nearestScales(problem)
      const s = problem.scale[0]!
      expect([...codes]).toEqual([...roundToNearest(problem)])
      expect(objective(problem, codes)).toBeCloseTo(
        errorAt(problem, () => s),
        9,
      )
      expect(objective(problem, codes)).toBeLessThanOrEqual(start)
      found += objective(problem, codes)
      before += start
    }
    // Of what there is to gain, twelve shares and least squares find nearly all.
    expect(before - found).toBeGreaterThan(0.9 * (before - least))
  })

  it('of one row are told apart', () => {
    let [found, common, least] = [0, 0, 0]
    for (let seed = 1; seed <= 10; seed++) {
      const base = randomProblem(seed, { rows: 1, terms: 4, bits: 3 })
      const scale = Float64Array.of(1.5 * base.scale[0]!, 1.5 * base.scale[0]!)
      const target = base.target.map((w, k) => (k < 2 ? w : w / 3))
      const problem = { ...base, target, scale, zeroPoint: new Float64Array(2), param: Uint32Array.of(0, 0, 1, 1) }
      const grid = scalesAround(scale[0]!, 150)
      common += Math.min(...grid.map((s) => errorAt(problem, () => s)))
      least += Math.min(...grid.flatMap((a) => grid.map((b) => errorAt(problem, (k) => (k < 2 ? a : b)))))
      const start = objective(problem, roundToNearest(problem))
      found += objective(problem, nearestScales(problem))
      expect(found).toBeLessThanOrEqual(common + start)
    }
    expect(found).toBeLessThan(common)
    expect(found).toBeGreaterThanOrEqual(0.99 * least)
  })

  it('go as far down as a weight without any input allows', () => {
    const problem: RoundingProblem = {
      ...{ groups: 1, rows: 1, terms: 4, quantMin: -8, quantMax: 7 },
      target: Float64Array.of(56, 7, -3, 2),
      // The first input is always zero, and codes of scale 1 are exact for the others.
      gram: Float64Array.of(0, 0, 0, 0, 0, 2, 1, 1, 0, 1, 2, 1, 0, 1, 1, 2),
      param: new Uint32Array(4),
      scale: Float64Array.of(8),
      zeroPoint: Float64Array.of(0),
    }
    const codes = nearestScales(problem)
    expect([...codes]).toEqual([7, 7, -3, 2])
    expect(problem.scale[0]).toBeCloseTo(1, 6)
    expect([...rowObjectives(problem, codes)][0]).toBeCloseTo(0, 9)
  })

  it('stay powers of two where they have to', () => {
    const base = randomProblem(3, { rows: 4, terms: 8, bits: 3 })
    const problem = { ...base, powerOfTwo: true, scale: base.scale.map(() => 4) }
    const before = objective(problem, roundToNearest(problem))
    expect(objective(problem, nearestScales(problem))).toBeLessThan(before)
    for (const s of problem.scale) expect(Math.log2(s) % 1).toBeCloseTo(0, 12)
  })
})
