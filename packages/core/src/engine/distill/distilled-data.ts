import { type Model, Tensor } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { problem, type Rng, rng } from '../../util/index.ts'
import type { Dataset, Sample } from '../dataset.ts'
import type { Engine, Session } from '../engine.ts'
import { type ModelInput, modelInputs } from '../inputs.ts'
import { concreteShape } from '../random-data.ts'
import { Adam } from './adam.ts'
import { type StatisticsLoss, statisticsLoss } from './statistics-loss.ts'

export interface DistillOptions {
  /** Default 64. */
  readonly samples?: number
  /** Samples whose statistics are matched together. Default 32. */
  readonly batchSize?: number
  /** Steps of Adam for each batch. Default 200. */
  readonly iterations?: number
  /** Greatest step, in standard deviations of the start; it falls to zero along a cosine. Default 0.1. */
  readonly rate?: number
  /** Default 1. */
  readonly seed?: number
  /** Least and greatest element of the input as the network is fed. Samples keep within. Without it they start standard normal. */
  readonly inputRange?: readonly [number, number]
  /** Sizes of open dimensions, by symbol or as `input:axis`. */
  readonly dims?: Readonly<Record<string, number>>
}

/** Who runs the network, and who wants to know. */
export interface DistillSurroundings {
  readonly engine: Engine
  readonly ops: OpRegistry
  readonly signal?: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}

export interface Distilled {
  readonly data: Dataset
  /** Distance from the remembered statistics at the start and at the end, averaged over batches. */
  readonly loss: { readonly before: number; readonly after: number }
  /** BatchNormalizations that were matched. */
  readonly layers: number
}

/**
 * Data made from a network alone: noise that is moved until its means and deviations in front of each BatchNormalization are those that
 * the network remembers of training (ZeroQ, Cai 2020, arXiv:2001.00281, section 3.1). Seeded: the same on the same engine.
 * @throws FewbitError DISTILL_NORM for a network without BatchNormalization, DISTILL_INPUT unless it has one float input, DATA_DIMS for
 * sizes that are open, AUTODIFF_* where it cannot be differentiated; the signal's reason when aborted.
 */
export async function distillData(
  model: Model,
  around: DistillSurroundings,
  options: DistillOptions = {},
): Promise<Distilled> {
  const { samples = 64, batchSize = 32, iterations = 200, rate = 0.1, seed = 1, inputRange, dims = {} } = options
  const input = onlyInput(model)
  const batches = Math.ceil(samples / batchSize)
  const size = Math.ceil(samples / batches)
  const shape = [size, ...concreteShape(input, dims).slice(1)]
  const graph = statisticsLoss(model, around.ops, input.name, shape)
  const session = await around.engine.load(graph.model)
  const random = rng(seed)
  const found: Float32Array[] = []
  const losses: [number, number][] = []
  try {
    for (let batch = 0; batch < batches; batch++) {
      const x = start(shape, random, inputRange)
      const progress = (done: number) => around.onProgress?.(batch * iterations + done, batches * iterations)
      losses.push(
        await descend(session, graph, {
          x,
          shape,
          input: input.name,
          iterations,
          rate,
          inputRange,
          progress,
          ...around,
        }),
      )
      found.push(x)
    }
  } finally {
    await session.release()
  }
  const one = shape.slice(1).reduce((n, d) => n * d, 1)
  const sampleAt = (i: number): Sample => {
    const values = found[Math.floor(i / size)]?.slice((i % size) * one, ((i % size) + 1) * one)
    return { id: `distilled ${i}`, feeds: { [input.name]: Tensor.float32([1, ...shape.slice(1)], values ?? []) } }
  }
  const range = inputRange ? { inputRange: [...inputRange] } : {}
  const data: Dataset = {
    name: 'distilled',
    length: samples,
    synthetic: true,
    async *samples() {
      for (let i = 0; i < samples; i++) yield sampleAt(i)
    },
    toJSON: () => ({ kind: 'distilled', samples, batchSize, iterations, rate, seed, ...range, dims }),
  }
  const average = (which: 0 | 1) => losses.reduce((sum, pair) => sum + pair[which], 0) / losses.length
  return { data, loss: { before: average(0), after: average(1) }, layers: graph.layers }
}

function onlyInput(model: Model): ModelInput {
  const [input, ...more] = modelInputs(model)
  if (input && more.length === 0 && input.dtype === 'float32') return input
  throw problem('DISTILL_INPUT', 'data can be distilled for networks with one input of float32 only', {
    ...(input ? { at: { value: input.name } } : {}),
    fix: 'give data with --data',
  })
}

/** Normal noise; within a range with the mean and deviation of a uniform distribution over it. */
function start(shape: readonly number[], random: Rng, range: readonly [number, number] | undefined): Float32Array {
  const x = Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, random.normal)
  if (!range) return x
  const [lo, hi] = range
  for (let i = 0; i < x.length; i++) x[i] = (lo + hi) / 2 + (x[i] ?? 0) * deviation(range)
  return clip(x, range)
}

const deviation = ([lo, hi]: readonly [number, number]): number => (hi - lo) / Math.sqrt(12)

function clip(x: Float32Array, [lo, hi]: readonly [number, number]): Float32Array {
  for (let i = 0; i < x.length; i++) x[i] = Math.min(Math.max(x[i] ?? 0, lo), hi)
  return x
}

interface Descent extends Pick<DistillSurroundings, 'signal'> {
  readonly x: Float32Array
  readonly shape: readonly number[]
  readonly input: string
  readonly iterations: number
  readonly rate: number
  readonly inputRange: readonly [number, number] | undefined
  readonly progress: (done: number) => void
}

/** Moves `x` in place. @returns the losses of the first and of the best step, whose `x` it is in the end. */
async function descend(session: Session, graph: StatisticsLoss, d: Descent): Promise<[number, number]> {
  const { x, iterations, inputRange } = d
  const adam = new Adam(x.length)
  const scale = d.rate * (inputRange ? deviation(inputRange) : 1)
  const best = { loss: Number.POSITIVE_INFINITY, x: x.slice() }
  let first = Number.NaN
  for (let i = 0; i <= iterations; i++) {
    d.signal?.throwIfAborted()
    const outputs = await session.run({ [d.input]: Tensor.float32(d.shape, x.slice()) })
    const loss = outputs[graph.loss]?.numbers()[0] ?? Number.NaN
    if (i === 0) first = loss
    if (loss < best.loss) {
      best.loss = loss
      best.x.set(x)
    }
    if (i === iterations) break
    adam.step(x, outputs[graph.gradient]?.numbers() ?? [], (scale * (1 + Math.cos((Math.PI * i) / iterations))) / 2)
    if (inputRange) clip(x, inputRange)
    d.progress(i + 1)
  }
  x.set(best.x)
  return [first, best.loss]
}
