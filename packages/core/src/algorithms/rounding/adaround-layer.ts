import type { Session } from '../../engine/index.ts'
import { Tensor } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { ADAM, SCHEDULE_WIDTH, SHIFT, STRETCH } from './adaround-graph.ts'
import { type CodeMatrix, gramOf, type RoundingProblem, realValue, rowsOf } from './rounding-problem.ts'

export interface AdaroundSettings {
  readonly iterations: number
  readonly learningRate: number
  /** λ, in units in which the error of independent rounding is 1 for each weight. */
  readonly regularization: number
  /** Share of the iterations before the regularizer sets in. */
  readonly warmStart: number
}

/** β falls from 20 to 2: at first only codes that have all but decided are held. */
const BETA = { first: 20, last: 2 }

/** Iterations of one call of the engine, after which a run may be aborted. */
const CALL = 250

/**
 * AdaRound (Nagel 2020, arXiv:2004.10568): whether each weight goes down or up is learned by gradient descent through a rectified sigmoid that a
 * regularizer drives to 0 or 1. On second moments an iteration is one product of matrices, and its gradient that of all the data.
 * @param session of `adaroundModel`.
 */
export async function adaroundLayer(
  problem: RoundingProblem,
  session: Session,
  settings: AdaroundSettings,
  signal?: AbortSignal,
): Promise<CodeMatrix> {
  const { groups, rows, terms } = problem
  const { lower, free, start } = relaxed(problem)
  const dims = [groups, rows, terms]
  const weightOf = (at: number) => realValue(problem, at, lower[at] as number)
  const scaleOf = (at: number) => problem.scale[problem.param[at] as number] as number
  // Rows do not depend on each other. Were they weighed alike, λ would decide those of quiet inputs before their error did.
  const units = rowUnits(problem)
  const unitOf = (at: number) => units[Math.floor(at / terms)] as number
  const error = Float32Array.from(problem.target, (w, at) => (w - weightOf(at)) * unitOf(at))
  const step = Float32Array.from(free, (on, at) => on * scaleOf(at) * unitOf(at))
  const fixed = {
    error: Tensor.float32(dims, error),
    step: Tensor.float32(dims, step),
    gram: Tensor.float32(
      [groups, terms, terms],
      Float32Array.from(problem.gram, (g) => -2 * STRETCH * g),
    ),
  }
  let state = { v0: Tensor.float32(dims, start), m0: zeros(dims), s0: zeros(dims) }
  for (let done = 0; done < settings.iterations; done += CALL) {
    signal?.throwIfAborted()
    const out = await session.run({ ...fixed, ...state, schedule: scheduleFor(settings, done) })
    state = { v0: must(out.v, 'v'), m0: must(out.m, 'm'), s0: must(out.s, 's') }
  }
  const v = state.v0.numbers()
  return lower.map((code, at) => code + (free[at] === 1 && (v[at] as number) >= 0 ? 1 : 0))
}

/**
 * What each row's errors are multiplied with so that eᵀ G e is expected to be K where they are even between half a step down and up, and
 * independent: without it that is Σ scale²/12 · G_kk.
 */
function rowUnits(problem: RoundingProblem): Float64Array {
  const { terms, param, scale } = problem
  return Float64Array.from({ length: rowsOf(problem) }, (_, row) => {
    const gram = gramOf(problem, row)
    let noise = 0
    for (let k = 0; k < terms; k++) {
      const s = scale[param[row * terms + k] as number] as number
      noise += (s ** 2 / 12) * (gram[k * terms + k] as number)
    }
    return noise > 0 ? Math.sqrt(terms / noise) : 1
  })
}

const zeros = (dims: readonly number[]): Tensor =>
  Tensor.float32(dims, new Float32Array(dims.reduce((n, d) => n * d, 1)))

/** Codes rounded down, where the one above exists as well, and the V whose h is the fraction. */
function relaxed({ target, param, scale, zeroPoint, quantMin, quantMax }: RoundingProblem) {
  const lower = new Int32Array(target.length)
  const free = new Uint8Array(target.length)
  const start = new Float32Array(target.length)
  target.forEach((w, at) => {
    const p = param[at] as number
    const real = w / (scale[p] as number)
    const code = Math.floor(real) + (zeroPoint[p] as number)
    lower[at] = Math.min(Math.max(code, quantMin), quantMax)
    free[at] = code >= quantMin && code < quantMax ? 1 : 0
    start[at] = -Math.log(STRETCH / (real - Math.floor(real) - SHIFT) - 1)
  })
  return { lower, free, start }
}

/** Rows of the schedule for the iterations of one call: see `adaroundModel`. */
function scheduleFor({ iterations, learningRate, regularization, warmStart }: AdaroundSettings, done: number): Tensor {
  const count = Math.min(CALL, iterations - done)
  const rows = Array.from({ length: count }, (_, i) => {
    const t = done + i
    const progress = (t / iterations - warmStart) / (1 - warmStart)
    const beta = BETA.last + (BETA.first - BETA.last) * (1 - Math.max(0, progress))
    const pull = progress < 0 ? 0 : -2 * STRETCH * beta * regularization
    const rate = (learningRate * Math.sqrt(1 - ADAM.squareDecay ** (t + 1))) / (1 - ADAM.decay ** (t + 1))
    return [pull, beta - 1, rate]
  })
  return Tensor.float32([count, SCHEDULE_WIDTH], rows.flat())
}
