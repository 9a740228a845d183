import type { Engine, Feeds } from '../engine/index.ts'
import { cloneModel, type Model, Tensor, valuesByName } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { floatAttribute } from '../passes/index.ts'
import { noise, noiseDims, type StepBatch, type Trainable } from '../training/index.ts'
import { must } from '../util/index.ts'
import { type QFloat, withTrained } from './qfloat.ts'
import { qatTrainable } from './train.ts'

export interface ReestimateOptions {
  readonly engine: Engine
  readonly ops: OpRegistry
  /** Batches of the training data. */
  readonly batches: AsyncIterable<StepBatch> | Iterable<StepBatch>
  readonly signal?: AbortSignal
}

export interface Reestimated {
  readonly qfloat: QFloat
  /** Statistics that are others now: vectors of means and of variances. */
  readonly changed: number
}

/**
 * Means and variances of BatchNormalization anew, as averages over batches with all weights as they are: a moving average still remembers
 * weights, and codes, of steps before (Nagel et al. 2022, arXiv:2203.11086, section 4.1). The network runs in the form in which it trains, so that each
 * normalization sees what those before it make of the batch. With momentum m a step takes r to m·r + (1 − m)·b; b is what is averaged.
 */
export async function reestimate(qfloat: QFloat, options: ReestimateOptions): Promise<Reestimated> {
  const trainable = qatTrainable(qfloat, options.ops)
  const statistics = statisticsOf(qfloat, trainable)
  if (statistics.length === 0) return { qfloat, changed: 0 }
  const sums = await averages(trainable, statistics, options)
  return { qfloat: withTrained(qfloat, sums), changed: sums.size }
}

interface Statistic {
  readonly name: string
  /** Value that holds the next content. */
  readonly next: string
  readonly momentum: number
  readonly running: Float64Array
}

function statisticsOf({ model, record }: QFloat, { model: training, updates }: Trainable): Statistic[] {
  const momenta = new Map<string, number>()
  for (const { mean, variance, momentum } of record.norms) momenta.set(mean, momentum).set(variance, momentum)
  for (const node of model.graph.nodes) {
    if (node.qualifiedType !== 'BatchNormalization') continue
    // The decimal that was meant has fewer digits than float32.
    const momentum = Number(floatAttribute(node, 'momentum', 0.9).toPrecision(7))
    for (const input of node.inputs.slice(3, 5)) if (input) momenta.set(input.name, momentum)
  }
  const values = valuesByName(training.graph)
  return [...updates].flatMap(([name, next]) => {
    const momentum = momenta.get(name)
    if (momentum === undefined || momentum === 1) return []
    const running = Float64Array.from(must(values.get(name)?.constant, name).numbers(), Number)
    return [{ name, next, momentum, running }]
  })
}

async function averages(
  trainable: Trainable,
  statistics: readonly Statistic[],
  { engine, batches, signal }: ReestimateOptions,
): Promise<Map<string, Tensor>> {
  const session = await engine.load(probe(trainable, statistics), { optimization: 'simulate' })
  const sums = statistics.map(({ running }) => new Float64Array(running.length))
  let count = 0
  try {
    for await (const { feeds } of batches) {
      signal?.throwIfAborted()
      const made = await session.run({ ...feeds, ...randomFeeds(trainable, feeds, count) })
      for (const [i, { next, momentum, running }] of statistics.entries()) {
        const sum = must(sums[i], 'sum')
        for (const [c, v] of must(made[next], next).numbers().entries())
          sum[c] = (sum[c] as number) + (Number(v) - momentum * (running[c] as number)) / (1 - momentum)
      }
      count++
    }
  } finally {
    await session.release()
  }
  const tensor = (sum: Float64Array) =>
    Tensor.float32(
      [sum.length],
      Float32Array.from(sum, (v) => v / count),
    )
  return new Map(count > 0 ? statistics.map(({ name }, i) => [name, tensor(must(sums[i], 'sum'))]) : [])
}

/** Seed of what is drawn while statistics are taken: nothing else depends on it. */
const SEED = 1

function randomFeeds({ model, random = [] }: Trainable, feeds: Feeds, position: number): Feeds {
  const size = Object.values(feeds)[0]?.dims[0] ?? 1
  const drawn = random.map((input, i) => {
    const dims = noiseDims(model, input.name).map((d) => d ?? size)
    return [input.name, noise(input, dims, SEED, position, i)] as const
  })
  return Object.fromEntries(drawn)
}

/** The training form with nothing but next statistics as outputs. */
function probe({ model }: Trainable, statistics: readonly Statistic[]): Model {
  const copy = cloneModel(model)
  const values = valuesByName(copy.graph)
  copy.graph.outputs.splice(0)
  copy.graph.outputs.push(...statistics.map(({ next }) => must(values.get(next), next)))
  return copy
}
