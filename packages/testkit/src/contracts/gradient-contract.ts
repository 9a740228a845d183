import type { Engine, Session } from '@fewbit/core/engine'
import { Tensor } from '@fewbit/core/ir'
import type { OpDef } from '@fewbit/core/ops'
import { FewbitError, type Rng, rng } from '@fewbit/core/util'
import { type ContractCheck, demand } from './contract.ts'
import { GRADIENT_CASES, type GradientCase } from './gradient-cases.ts'
import { type GradientTask, gradientTask, type Precision } from './gradient-task.ts'

/**
 * Step and tolerance of central differences. Their error is h²/6 of a third derivative plus what rounding of the outputs leaves of
 * a difference divided by 2h: 1e-7/8e-3 of the outputs' magnitudes in float32, 1e-16/2e-4 in float64.
 */
const PRECISIONS = {
  float64: { step: 1e-4, tolerance: 1e-6 },
  float32: { step: 4e-3, tolerance: 3e-3 },
} as const

const DIRECTIONS = 2

/**
 * Two numbers of a gradient as PyTorch computes it, in float32 where it is wider: its product with cos(0), cos(1), … and its norm. A wrong
 * gradient agrees in both with probability zero.
 */
export type Fingerprint = readonly [dot: number, norm: number]

/** By case and input. */
export type PeerGradients = Readonly<Record<string, Readonly<Record<string, Fingerprint>>>>

/** Rounding in float32, of the fingerprint as well. */
const PEER_TOLERANCE = 1e-4

/**
 * What every gradient promises: it is the derivative of what the engine computes, by each input alone along random directions, and that of
 * PyTorch where its figures are known. A wrong gradient is orthogonal to a random direction with probability zero.
 */
export function gradientContract(def: OpDef, engine: Engine, peers: PeerGradients = {}): ContractCheck[] {
  const cases = GRADIENT_CASES[def.type] ?? []
  const missing = { name: 'has cases', run: () => demand(cases.length > 0, () => `${def.type} has no gradient case`) }
  const checks = cases.map((c) => ({
    name: `is the derivative of ${c.text}`,
    run: () => isDerivative(c, engine, peers),
  }))
  return [missing, ...checks]
}

async function isDerivative(c: GradientCase, engine: Engine, peers: PeerGradients): Promise<void> {
  const { task, precision } = await widestTask(c, engine)
  agreesWithPeer(task, peers[c.text] ?? {})
  const forward = await engine.load(task.forward, { optimization: 'none', threads: 1 })
  const random = rng(31)
  try {
    for (const name of Object.keys(task.gradients)) {
      for (let d = 0; d < DIRECTIONS; d++) await agree(forward, task, name, random, precision)
    }
  } finally {
    await forward.release()
  }
}

/** In doubles, unless the case is about floats or an operator has no kernel for doubles. */
async function widestTask(c: GradientCase, engine: Engine): Promise<{ task: GradientTask; precision: Precision }> {
  try {
    if (!c.single) return { task: await gradientTask(c, engine, 'float64'), precision: 'float64' }
  } catch (error) {
    if (!(error instanceof FewbitError) || error.code !== 'ENGINE_LOAD') throw error
  }
  return { task: await gradientTask(c, engine, 'float32'), precision: 'float32' }
}

export function fingerprint(gradient: ArrayLike<number | bigint>): Fingerprint {
  const values = Array.from(gradient, Number)
  return [values.reduce((sum, v, i) => sum + v * Math.cos(i), 0), Math.hypot(...values)]
}

function agreesWithPeer({ gradients }: GradientTask, peers: PeerGradients[string]): void {
  for (const [name, theirs] of Object.entries(peers)) {
    const ours = fingerprint(gradients[name]?.numbers() ?? [])
    const isNear = ours.every((v, i) => Math.abs(v - (theirs[i] ?? 0)) <= PEER_TOLERANCE * Math.max(1e-6, theirs[1]))
    demand(isNear, () => `by ${name}: product and norm are ${ours}, PyTorch has ${theirs}`)
  }
}

async function agree(
  forward: Session,
  { at, seeds, gradients }: GradientTask,
  name: string,
  random: Rng,
  precision: Precision,
): Promise<void> {
  const { step, tolerance } = PRECISIONS[precision]
  const [x, gradient] = [at[name] as Tensor, gradients[name] as Tensor]
  demand(gradient.dims.join() === x.dims.join(), () => `the gradient by ${name} has shape [${gradient.dims}]`)
  const direction = Float64Array.from({ length: x.size }, () => random.next() * 2 - 1)
  const loss = async (sign: number) => {
    const moved = Float64Array.from(x.numbers(), (v, i) => v + sign * step * (direction[i] ?? 0))
    const outputs = await forward.run({ ...at, [name]: Tensor.fromNumbers(precision, x.dims, moved) })
    return Object.entries(seeds).reduce(
      (sum, [y, seed]) => sum + dot((outputs[y] as Tensor).numbers(), seed.numbers()),
      0,
    )
  }
  const numeric = ((await loss(1)) - (await loss(-1))) / (2 * step)
  const analytic = dot(gradient.numbers(), direction)
  const scale = Math.max(1, ...direction.map((v, i) => Math.abs(v * (gradient.numbers()[i] ?? 0)))) * Math.sqrt(x.size)
  demand(Math.abs(numeric - analytic) <= tolerance * scale, () => {
    return `by ${name} in ${precision}: ${analytic} along a direction, but differences give ${numeric}`
  })
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, v, i) => sum + v * (b[i] ?? 0), 0)
