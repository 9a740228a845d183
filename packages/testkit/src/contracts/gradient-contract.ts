import { pullBack, readyToDifferentiate } from '@fewbit/core/autodiff'
import type { Engine, Feeds, Session } from '@fewbit/core/engine'
import { asTensor, GraphBuilder, type Model, parseModel, Tensor, type Value } from '@fewbit/core/ir'
import { defaultOps, type OpDef } from '@fewbit/core/ops'
import { FewbitError, type Rng, rng } from '@fewbit/core/util'
import { type ContractCheck, demand } from './contract.ts'
import { GRADIENT_CASES, type GradientCase } from './gradient-cases.ts'

/**
 * Step and tolerance of central differences. Their error is h²/6 of a third derivative plus what rounding of the outputs leaves of
 * a difference divided by 2h: 1e-7/8e-3 of the outputs' magnitudes in float32, 1e-16/2e-4 in float64.
 */
const PRECISIONS = {
  float64: { step: 1e-4, tolerance: 1e-6 },
  float32: { step: 4e-3, tolerance: 3e-3 },
} as const
type Precision = keyof typeof PRECISIONS

const DIRECTIONS = 2

/**
 * What every gradient promises: it is the derivative of what the engine computes, by each input alone along random directions. A
 * wrong gradient is orthogonal to a random direction with probability zero.
 */
export function gradientContract(def: OpDef, engine: Engine): ContractCheck[] {
  const cases = GRADIENT_CASES[def.type] ?? []
  const missing = { name: 'has cases', run: () => demand(cases.length > 0, () => `${def.type} has no gradient case`) }
  const checks = cases.map((c) => ({ name: `is the derivative of ${c.text}`, run: () => isDerivative(c, engine) }))
  return [missing, ...checks]
}

async function isDerivative(c: GradientCase, engine: Engine): Promise<void> {
  if (c.single) return compare(c, engine, 'float32')
  try {
    await compare(c, engine, 'float64')
  } catch (error) {
    // Not every operator has a kernel for doubles.
    if (!(error instanceof FewbitError) || error.code !== 'ENGINE_LOAD') throw error
    await compare(c, engine, 'float32')
  }
}

interface Network {
  readonly forward: Model
  readonly backward: Model
  readonly inputs: readonly string[]
  readonly gradients: readonly string[]
  /** Inputs of the backward network that take gradients of outputs. */
  readonly seeds: readonly string[]
}

async function compare(c: GradientCase, engine: Engine, precision: Precision): Promise<void> {
  const network = networkOf(c, precision)
  const random = rng(29)
  const at = pointOf(network.forward, precision, random, c.range ?? [-2, 2])
  const forward = await engine.load(network.forward, { optimization: 'none', threads: 1 })
  try {
    const outputs = Object.values(await forward.run(at))
    const seeds = outputs.map((y) => normal(random, y.dtype, y.dims))
    const backward = await engine.load(network.backward, { optimization: 'none', threads: 1 })
    const fed = Object.fromEntries(network.seeds.map((name, i) => [name, seeds[i] as Tensor]))
    const gradients = await backward.run({ ...at, ...fed }).finally(() => backward.release())
    for (const [i, name] of network.inputs.entries()) {
      const gradient = gradients[network.gradients[i] as string] as Tensor
      for (let d = 0; d < DIRECTIONS; d++) await agree(forward, at, seeds, name, gradient, random, precision)
    }
  } finally {
    await forward.release()
  }
}

function networkOf({ text }: GradientCase, precision: Precision): Network {
  const written = precision === 'float32' ? text : text.replaceAll('float32', 'float64')
  const forward = readyToDifferentiate(
    parseModel(`<ir_version = 9, opset_import = ["": 20]> main ${written}`),
    defaultOps,
  )
  const backward = readyToDifferentiate(forward, defaultOps)
  const b = new GraphBuilder(backward.graph)
  const seeds = new Map(backward.graph.outputs.map((y): [Value, Value] => [y, b.input('seed', y.type)]))
  const by = backward.graph.inputs.filter(
    (x) => asTensor(x.type)?.dtype === precision && ![...seeds.values()].includes(x),
  )
  const gradients = pullBack(backward, defaultOps, seeds, by)
  backward.graph.outputs.length = 0
  const named = gradients.map((gradient) => b.output(b.op('Identity', [gradient])).name)
  const names = (values: Iterable<Value>) => [...values].map((value) => value.name)
  return { forward, backward, inputs: names(by), gradients: named, seeds: names(seeds.values()) }
}

/** Values that keep their distance from each other, so that a small step changes no order. */
function pointOf(model: Model, precision: Precision, random: Rng, [low, high]: readonly [number, number]): Feeds {
  const inputs = model.graph.inputs.map((x) => ({ name: x.name, dims: (asTensor(x.type)?.shape ?? []) as number[] }))
  const sizes = inputs.map(({ dims }) => dims.reduce((n, d) => n * d, 1))
  const total = sizes.reduce((a, b) => a + b, 0)
  const place = (i: number) => low + ((high - low) * (i + 0.25 + random.next() / 2)) / total
  const values = random.shuffle(Array.from({ length: total }, (_, i) => place(i)))
  return Object.fromEntries(
    inputs.map(({ name, dims }, i) => [name, Tensor.fromNumbers(precision, dims, values.splice(0, sizes[i] ?? 0))]),
  )
}

function normal(random: Rng, dtype: Tensor['dtype'], dims: readonly number[]): Tensor {
  const count = dims.reduce((n, d) => n * d, 1)
  return Tensor.fromNumbers(dtype, dims, Float64Array.from({ length: count }, random.normal))
}

async function agree(
  forward: Session,
  at: Feeds,
  seeds: readonly Tensor[],
  name: string,
  gradient: Tensor,
  random: Rng,
  precision: Precision,
): Promise<void> {
  const { step, tolerance } = PRECISIONS[precision]
  const x = at[name] as Tensor
  demand(gradient.dims.join() === x.dims.join(), () => `the gradient by ${name} has shape [${gradient.dims}]`)
  const direction = Float64Array.from({ length: x.size }, () => random.next() * 2 - 1)
  const loss = async (sign: number) => {
    const moved = Float64Array.from(x.numbers(), (v, i) => v + sign * step * (direction[i] ?? 0))
    const outputs = Object.values(await forward.run({ ...at, [name]: Tensor.fromNumbers(precision, x.dims, moved) }))
    return outputs.reduce((sum, y, i) => sum + dot(y.numbers(), (seeds[i] as Tensor).numbers()), 0)
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
