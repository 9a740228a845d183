import { pullBack, readyToDifferentiate } from '@fewbit/core/autodiff'
import type { Engine, Feeds } from '@fewbit/core/engine'
import { asTensor, GraphBuilder, type Model, parseModel, Tensor, type Value } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { type Rng, rng } from '@fewbit/core/util'
import type { GradientCase } from './gradient-cases.ts'

export type Precision = 'float32' | 'float64'

/** A network at a point, with the gradients of Σ ⟨seed, output⟩ that its rules give there. */
export interface GradientTask {
  readonly forward: Model
  readonly at: Feeds
  /** By output. */
  readonly seeds: Feeds
  /** By input. */
  readonly gradients: Feeds
}

interface Backward {
  readonly model: Model
  readonly inputs: readonly string[]
  readonly gradients: readonly string[]
  /** Inputs that take gradients of outputs. */
  readonly seeds: readonly string[]
}

/** The point and the seeds are the same for every run. @throws FewbitError ENGINE_LOAD where the precision has no kernels. */
export async function gradientTask(c: GradientCase, engine: Engine, precision: Precision): Promise<GradientTask> {
  const written = precision === 'float32' ? c.text : c.text.replaceAll('float32', 'float64')
  const model = parseModel(`<ir_version = 9, opset_import = ["": 20]> main ${written}`)
  const forward = readyToDifferentiate(model, defaultOps)
  const random = rng(29)
  const at = pointOf(forward, precision, random, c.range ?? [-2, 2])
  const outputs = await run(engine, forward, at)
  const seeds = Object.entries(outputs).map(([name, y]) => [name, normal(random, y.dtype, y.dims)] as const)
  const backward = backwardOf(forward, precision)
  const fed = Object.fromEntries(backward.seeds.map((name, i) => [name, seeds[i]?.[1] as Tensor]))
  const found = await run(engine, backward.model, { ...at, ...fed })
  const gradients = backward.inputs.map((name, i) => [name, found[backward.gradients[i] as string] as Tensor] as const)
  return { forward, at, seeds: Object.fromEntries(seeds), gradients: Object.fromEntries(gradients) }
}

/** Runs a model on copies of its feeds: BatchNormalization in training mode writes into them. */
async function run(engine: Engine, model: Model, feeds: Feeds): Promise<Feeds> {
  const session = await engine.load(model, { optimization: 'none', threads: 1 })
  const copies = Object.entries(feeds).map(([name, t]) => [name, Tensor.fromNumbers(t.dtype, t.dims, t.numbers())])
  return session.run(Object.fromEntries(copies)).finally(() => session.release())
}

function backwardOf(forward: Model, precision: Precision): Backward {
  const model = readyToDifferentiate(forward, defaultOps)
  const b = new GraphBuilder(model.graph)
  const seeds = new Map(model.graph.outputs.map((y): [Value, Value] => [y, b.input('seed', y.type)]))
  const by = model.graph.inputs.filter((x) => asTensor(x.type)?.dtype === precision && ![...seeds.values()].includes(x))
  const gradients = pullBack(model, defaultOps, seeds, by)
  model.graph.outputs.length = 0
  const named = gradients.map((gradient) => b.output(b.op('Identity', [gradient])).name)
  const names = (values: Iterable<Value>) => [...values].map((value) => value.name)
  return { model, inputs: names(by), gradients: named, seeds: names(seeds.values()) }
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
