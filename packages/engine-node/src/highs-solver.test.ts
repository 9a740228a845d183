import type { ChoiceProblem } from '@fewbit/core/pipeline'
import { type Rng, rng } from '@fewbit/core/util'
import { describe, expect, it } from 'vitest'
import { highsSolver } from './highs-solver.ts'

const solver = highsSolver()

/** Layers of very different sizes whose error grows four-fold with each bit less, as networks have them. */
function instance(random: Rng, layers: number, rows: number, share: number): ChoiceProblem {
  const bits = [2, 3, 4, 6, 8]
  const groups = Array.from({ length: layers }, () => {
    const error = 10 ** (4 * random.next() - 6)
    const sizes = Array.from({ length: rows }, () => random.int(1000) + 1)
    return {
      costs: bits.map((b) => error * 4 ** -b * (0.7 + 0.6 * random.next())),
      weights: sizes.map((size) => bits.map((b) => size * b)),
    }
  })
  const limits = Array.from({ length: rows }, (_, row) => {
    const most = groups.reduce((sum, { weights }) => sum + (weights[row]?.at(-1) ?? 0), 0)
    return Math.floor(share * most)
  })
  return { groups, limits }
}

const costOf = ({ groups }: ChoiceProblem, chosen: readonly number[]): number =>
  chosen.reduce((sum, item, g) => sum + (groups[g]?.costs[item] as number), 0)

const keeps = ({ groups, limits }: ChoiceProblem, chosen: readonly number[]): boolean =>
  limits.every(
    (limit, row) => chosen.reduce((n, item, g) => n + (groups[g]?.weights[row]?.[item] as number), 0) <= limit,
  )

/** Every choice, one after the other. */
function exhaustive(problem: ChoiceProblem): number {
  let best = Number.POSITIVE_INFINITY
  const visit = (chosen: number[]): void => {
    const group = problem.groups[chosen.length]
    if (!group) {
      if (keeps(problem, chosen)) best = Math.min(best, costOf(problem, chosen))
      return
    }
    for (const item of group.costs.keys()) visit([...chosen, item])
  }
  visit([])
  return best
}

/** Dynamic programming over whole weights: the least cost for each amount spent, group by group. */
function dynamic({ groups, limits: [limit = 0] }: ChoiceProblem): number {
  let best = new Float64Array(limit + 1)
  for (const { costs, weights } of groups) {
    const next = new Float64Array(limit + 1).fill(Number.POSITIVE_INFINITY)
    costs.forEach((cost, item) => {
      const weight = weights[0]?.[item] as number
      for (let s = weight; s <= limit; s++) next[s] = Math.min(next[s] as number, (best[s - weight] as number) + cost)
    })
    best = next
  }
  return best[limit] as number
}

describe('choosing one item of each group', () => {
  it.each([0, 1, 2, 3, 4, 5])('is as good as trying all, within two limits (%i)', async (seed) => {
    const problem = instance(rng(seed), 6, 2, 0.45 + 0.08 * seed)
    const chosen = await solver.solve(problem)
    const best = exhaustive(problem)
    expect(chosen !== undefined).toBe(Number.isFinite(best))
    if (!chosen) return
    expect(keeps(problem, chosen)).toBe(true)
    // Costs are numbers of many digits, so that ties do not occur; 1e-6 is the gap that the solver may leave.
    expect(costOf(problem, chosen) / best - 1).toBeLessThan(2e-6)
  })

  it.each([0.3, 0.6])(
    'is as good as dynamic programming for 56 layers and 5 widths, at %f of the size',
    async (share) => {
      const problem = instance(rng(7), 56, 1, share)
      const chosen = (await solver.solve(problem)) as readonly number[]
      expect(keeps(problem, chosen)).toBe(true)
      expect(costOf(problem, chosen) / dynamic(problem) - 1).toBeLessThan(2e-6)
    },
  )

  it('says when no choice keeps the limits', async () => {
    const groups = [
      {
        costs: [1, 0],
        weights: [
          [1, 4],
          [4, 1],
        ],
      },
    ]
    expect(await solver.solve({ groups, limits: [2, 2] })).toBeUndefined()
    expect(await solver.solve({ groups, limits: [2, 4] })).toEqual([0])
    expect(await solver.solve({ groups, limits: [4, 2] })).toEqual([1])
  })

  it('tells costs apart that are far below the largest', async () => {
    const groups = [
      { costs: [5, 3], weights: [[1, 1]] },
      { costs: [3e-9, 2e-9], weights: [[1, 1]] },
    ]
    expect(await solver.solve({ groups, limits: [2] })).toEqual([1, 1])
  })
})
