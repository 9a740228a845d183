import { nodeEngine } from '@fewbit/engine-node'
import { leastObjective, randomProblem } from '@fewbit/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Session } from '../../engine/index.ts'
import { Tensor } from '../../ir/index.ts'
import { must, rng } from '../../util/index.ts'
import { adaroundModel } from './adaround-graph.ts'
import { adaroundLayer } from './adaround-layer.ts'
import { objective, type RoundingProblem, roundToNearest } from './rounding-problem.ts'

const SETTINGS = { iterations: 600, learningRate: 0.1, regularization: 10, warmStart: 0.2 }

let session: Session
beforeAll(async () => {
  session = await nodeEngine({ threads: 1 }).load(adaroundModel())
})
afterAll(() => session.release())

/** tr(E G Eᵀ) + λ Σ (1 − |2h − 1|^β), E = error − step · h, h = clip(1.2 σ(V) − 0.1, 0, 1): equations 21 to 24 of the paper, in double. */
function loss(
  v: Float64Array,
  error: Float64Array,
  step: Float64Array,
  gram: Float64Array,
  terms: number,
  beta: number,
) {
  const h = v.map((x) => Math.min(Math.max(1.2 / (1 + Math.exp(-x)) - 0.1, 0), 1))
  const e = error.map((x, at) => x - (step[at] as number) * (h[at] as number))
  let sum = 0
  for (let row = 0; row < e.length; row += terms)
    for (let i = 0; i < terms; i++)
      for (let j = 0; j < terms; j++)
        sum += (e[row + i] as number) * (gram[i * terms + j] as number) * (e[row + j] as number)
  return h.reduce((total, x) => total + 0.5 * (1 - Math.abs(2 * x - 1) ** beta), sum)
}

describe('AdaRound', () => {
  it('goes along the gradient of the paper’s loss', async () => {
    const random = rng(4)
    const [rows, terms, beta] = [2, 5, 6]
    const { gram } = randomProblem(4, { rows, terms, bits: 4 })
    const draw = (scale: number) => Float64Array.from({ length: rows * terms }, () => scale * random.normal())
    const [v, error, step] = [draw(1.5), draw(0.2), draw(0.1).map(Math.abs)]
    const tensor = (values: Float64Array) => Tensor.float32([1, rows, terms], values)
    const zeros = tensor(new Float64Array(rows * terms))
    const out = await session.run({
      ...{ error: tensor(error), step: tensor(step), v0: tensor(v), m0: zeros, s0: zeros },
      gram: Tensor.float32(
        [1, terms, terms],
        gram.map((g) => -2.4 * g),
      ),
      schedule: Tensor.float32([1, 3], [-2.4 * beta * 0.5, beta - 1, 0.01]),
    })
    // The first moment of Adam is a tenth of the first gradient.
    const found = must(out.m, 'm').numbers()
    for (const [at, m] of found.entries()) {
      const at1e4 = (sign: number) => {
        const moved = v.slice()
        moved[at] = (v[at] as number) + sign * 1e-4
        return loss(moved, error, step, gram, terms, beta)
      }
      expect(10 * m).toBeCloseTo((at1e4(1) - at1e4(-1)) / 2e-4, 2)
    }
    // And its first step is the step size against the gradient's sign.
    for (const [at, x] of must(out.v, 'v').numbers().entries()) {
      const m = found[at] as number
      if (Math.abs(m) > 1e-3)
        expect(x - (v[at] as number)).toBeCloseTo(-Math.sign(m) * 0.01 * (0.1 / Math.sqrt(0.001)), 3)
    }
  })

  it('decides between the codes around each weight, far better than rounding to the nearest', async () => {
    let [found, nearest] = [0, 0]
    for (let seed = 1; seed <= 5; seed++) {
      const problem = randomProblem(seed, { groups: 2, rows: 3, terms: 12, bits: 4 })
      const codes = await adaroundLayer(problem, session, SETTINGS)
      for (const [at, code] of codes.entries()) {
        const real = (problem.target[at] as number) / (problem.scale[problem.param[at] as number] as number)
        const inside = Math.min(Math.max(real, problem.quantMin), problem.quantMax)
        expect(Math.abs(code - inside)).toBeLessThan(1)
      }
      found += objective(problem, codes)
      nearest += objective(problem, roundToNearest(problem))
    }
    expect(found).toBeLessThan(0.5 * nearest)
  })

  it('rounds rows of quiet inputs as well as those of loud ones', async () => {
    const problem = randomProblem(7, { groups: 2, rows: 3, terms: 12, bits: 4 })
    // Both groups are the same rows on the same inputs, once at a thousandth of the size.
    for (const values of [problem.target, problem.gram]) values.copyWithin(values.length / 2, 0, values.length / 2)
    const half = problem.scale.length / 2
    problem.scale.copyWithin(half, 0, half)
    const quiet = problem.gram.map((g, i) => (i < problem.gram.length / 2 ? g : g * 1e-6))
    const codes = await adaroundLayer({ ...problem, gram: quiet }, session, SETTINGS)
    expect([...codes.subarray(codes.length / 2)]).toEqual([...codes.subarray(0, codes.length / 2)])
    expect([...codes]).not.toEqual([...roundToNearest(problem)])
  })

  it('comes near to the best choice of down and up', async () => {
    let [sum, best, rounded] = [0, 0, 0]
    for (let seed = 1; seed <= 6; seed++) {
      const problem = randomProblem(seed, { rows: 1, terms: 8, bits: 4 })
      // Wide enough that no weight lies beyond the outermost code.
      problem.scale[0] = 0.5
      sum += objective(problem, await adaroundLayer(problem, session, SETTINGS))
      best += leastOfNeighbours(problem)
      rounded += objective(problem, roundToNearest(problem))
    }
    expect(sum).toBeGreaterThanOrEqual(best * (1 - 1e-9))
    expect(rounded - sum).toBeGreaterThan(0.7 * (rounded - best))
  })
})

/** Over all 2^K ways to round one row down or up: a problem of one bit. */
function leastOfNeighbours(problem: RoundingProblem): number {
  const { target, scale, param } = problem
  const down = target.map((w, at) => {
    const s = scale[param[at] as number] as number
    return Math.min(Math.max(Math.floor(w / s), problem.quantMin), problem.quantMax - 1) * s
  })
  const shifted = target.map((w, at) => w - (down[at] as number))
  return leastObjective({ ...problem, target: shifted, quantMin: 0, quantMax: 1 })
}
