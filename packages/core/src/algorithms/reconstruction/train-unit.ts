import type { Engine, Feeds } from '../../engine/index.ts'
import { asTensor, Tensor, type Value } from '../../ir/index.ts'
import { TrainingRun, type TrainingStep } from '../../training/index.ts'
import { mixSeed, must, rng } from '../../util/index.ts'
import { CachedRows } from './cached-rows.ts'
import { NoisePool } from './noise-pool.ts'
import type { TrainingForm } from './training-form.ts'
import type { UnitData } from './unit-data.ts'

export interface TrainUnit {
  readonly engine: Engine
  readonly form: TrainingForm
  readonly step: TrainingStep
  readonly data: UnitData
  readonly iterations: number
  readonly batch: number
  readonly seed: number
  readonly onStep: (step: number) => void
  readonly signal?: AbortSignal
}

export interface TrainedUnit {
  /** Every initializer of the training form. */
  readonly state: ReadonlyMap<string, Tensor>
  /** Of the last step. */
  readonly loss: number
}

/** Descends on random batches of what the unit sees. */
export async function trainUnit(task: TrainUnit): Promise<TrainedUnit> {
  const { engine, form, step, iterations, signal } = task
  const run = await TrainingRun.load(engine, step)
  const feedsAt = feeder(task)
  let loss = Number.NaN
  try {
    for (let i = 1; i <= iterations; i++) {
      signal?.throwIfAborted()
      loss = (await run.advance(feedsAt(), { lr: 1, total: iterations })).loss
      task.onStep(i)
    }
    return { state: new Map([...constantsOf(form), ...run.state()]), loss }
  } finally {
    await run.release()
  }
}

const constantsOf = ({ trainable }: TrainingForm) =>
  [...trainable.model.graph.initializers].map((value) => [value.name, must(value.constant, value.name)] as const)

function feeder({ form, data, batch, seed }: TrainUnit): () => { feeds: Feeds; targets: Feeds } {
  const random = rng(mixSeed(seed, 1))
  const pool = new NoisePool(mixSeed(seed, 2))
  const outputs = outputsOf(form, data)
  const order = Array.from({ length: data.count }, (_, i) => i)
  return () => {
    const rows = drawn(order, batch, random)
    const feeds: Record<string, Tensor> = {}
    for (const [name, cached] of data.seen) feeds[name] = cached.batch(rows)
    for (const [name, input] of form.float) feeds[input] = must(data.float.get(name), name).batch(rows)
    for (const value of form.noise) feeds[value.name] = pool.draw(dimsOf(value))
    for (const { weight, rows: weights } of outputs) if (weight && weights) feeds[weight] = weights.batch(rows)
    return { feeds, targets: Object.fromEntries(outputs.map(({ name, target }) => [name, target.batch(rows)])) }
  }
}

/** Targets and weights by the training form's outputs. A weighed output is compared with its target, weighed. */
function outputsOf({ outputs }: TrainingForm, { targets, weights }: UnitData) {
  return [...outputs].map(([unitOutput, { name, weight }]) => {
    const target = must(targets.get(unitOutput), unitOutput)
    const rows = weights?.get(unitOutput)
    return weight && rows ? { name, weight, rows, target: product(target, rows) } : { name, target }
  })
}

function product(a: CachedRows, b: CachedRows): CachedRows {
  const [x, y] = [a.all().numbers(), b.all().numbers()]
  return new CachedRows([
    Tensor.float32(
      a.all().dims,
      Float32Array.from(x, (value, i) => value * (y[i] as number)),
    ),
  ])
}

/** Different samples, as many as there are at most: the first steps of a shuffle. */
function drawn(order: number[], count: number, random: ReturnType<typeof rng>): number[] {
  for (let i = 0; i < count; i++) {
    const j = i + random.int(order.length - i)
    const kept = order[i] as number
    order[i] = order[j] as number
    order[j] = kept
  }
  return order.slice(0, count)
}

const dimsOf = ({ type, name }: Value): readonly number[] =>
  must(asTensor(type)?.shape, `shape of "${name}"`) as number[]
