import { type Batch, batches, type Engine, type Feeds, type LoadOptions, modelInputs } from '../../engine/index.ts'
import {
  cloneModel,
  dependencies,
  extract,
  type Model,
  type Node,
  nodesLeadingTo,
  type Value,
  valuesByName,
} from '../../ir/index.ts'
import { materialize, type QuantPlan, resolveBiases } from '../../quant/index.ts'
import { Diagnostics } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import type { BiasedLayer } from '../linear-bias.ts'
import { addMeans, ChannelMeans, type MeanOutputs, meansOf } from './channel-means.ts'
import { isTransferable, lastReads, levelsOf } from './levels.ts'

/** Means of the outputs of layers, by node name. */
export type LayerMeans = ReadonlyMap<string, ChannelMeans>

export interface MeasureOptions {
  readonly layers: readonly BiasedLayer[]
  readonly batches: readonly Batch[]
  /** Also means of squares. */
  readonly squares?: boolean
}

/** Runs at least, so that one half of the data can judge what the other half says. */
const LEAST_RUNS = 8

/** Calibration samples, batched: `samples` at most, in at least eight runs where there are so many. */
export async function calibrationBatches({ model, data, signal }: QuantizedContext, samples: number): Promise<Batch[]> {
  if (!data) return []
  const limit = Math.min(samples, data.samples, data.dataset.length ?? samples)
  const batchSize = Math.min(data.batchSize, Math.ceil(limit / LEAST_RUNS))
  const found: Batch[] = []
  const options = { limit, batchSize, ...(signal ? { signal } : {}) }
  for await (const batch of batches(data.dataset, modelInputs(model), options)) found.push(batch)
  return found
}

/** What the layers make in the float network before any algorithm of these stages, in one pass. */
export async function floatMeans(cx: QuantizedContext, options: MeasureOptions): Promise<LayerMeans> {
  const model = cloneModel(cx.reference)
  model.graph.outputs.length = 0
  return measureWhole(model, (part) => part, {}, cx, options)
}

/** What the layers make in the quantized network, in one pass. */
export async function quantizedMeans(cx: QuantizedContext, options: MeasureOptions): Promise<LayerMeans> {
  const model = cloneModel(cx.model)
  model.graph.outputs.length = 0
  return measureWhole(model, (part) => writePart(part, cx), cx.load, cx, options)
}

async function measureWhole(
  model: Model,
  write: (model: Model) => Model,
  load: LoadOptions,
  { engine, signal }: QuantizedContext,
  { layers, batches: runs, squares = false }: MeasureOptions,
): Promise<LayerMeans> {
  if (layers.length === 0) return new Map()
  const measured = addMeans(model, layers, squares)
  const means = new LayerSums(measured)
  await runAll(
    engine,
    write(model),
    load,
    runs.map(({ feeds }) => feeds),
    signal,
    (outputs, i) => means.add(outputs, i, runs[i]?.samples.length ?? 0),
  )
  return means.byNode
}

class LayerSums {
  readonly byNode = new Map<string, ChannelMeans>()
  readonly #measured: readonly MeanOutputs[]

  constructor(measured: readonly MeanOutputs[]) {
    this.#measured = measured
    for (const { layer } of measured) this.byNode.set(layer.node.name, new ChannelMeans(layer.channels))
  }

  add(outputs: Feeds, run: number, samples: number): void {
    for (const m of this.#measured) this.byNode.get(m.layer.node.name)?.add(run, samples, meansOf(outputs, m))
  }
}

/**
 * Measures the layers level by level in the quantized network. Whoever asks for the next level may have changed the biases, weights and
 * parameters of the layers of the levels before, and what follows sees that.
 *
 * Between two levels the network is cut: what the earlier part makes is kept for all samples and fed to the later one, so that all
 * levels together cost about two passes over the data, and not one pass each. The cut is before the quantizers, which both parts write.
 */
export async function* meansByLevel(
  cx: QuantizedContext,
  { layers, batches: runs, squares = false }: MeasureOptions,
): AsyncGenerator<LayerMeans> {
  const { graph } = cx.model
  const levels = levelsOf(graph, new Set(layers.map(({ node }) => node)))
  const last = lastReads(graph, levels)
  const kept = new KeptValues(
    graph.inputs.filter((value) => !value.constant),
    runs.map(({ feeds }) => feeds),
  )
  const count = Math.max(0, ...layers.map(({ node }) => levels.get(node) ?? 0))
  for (let level = 1; level <= count; level++) {
    const here = layers.filter(({ node }) => levels.get(node) === level)
    const made = madeAt(level - 1, graph.nodes, levels).filter((v) => (last.get(v) ?? 0) >= level && isTransferable(v))
    const { part, inputs, measured } = partFor(cx.model, kept.values, made, here, squares)
    const sums = new LayerSums(measured)
    await runAll(cx.engine, writePart(part, cx), cx.load, kept.feeds(inputs), cx.signal, (outputs, i) => {
      sums.add(outputs, i, runs[i]?.samples.length ?? 0)
      kept.add(i, made, outputs)
    })
    kept.drop((value) => (last.get(value) ?? 0) < level)
    yield sums.byNode
  }
}

const madeAt = (level: number, nodes: Iterable<Node>, levels: ReadonlyMap<Node, number>): Value[] =>
  [...nodes].flatMap((node) => (levels.get(node) === level ? node.outputs.filter((value) => value !== null) : []))

/** What the samples have become by now: the values between the part that is done and the one that comes, for each run. */
class KeptValues {
  readonly values = new Set<Value>()
  readonly #runs: Map<Value, Feeds[string]>[]

  constructor(inputs: readonly Value[], feeds: readonly Feeds[]) {
    for (const value of inputs) this.values.add(value)
    this.#runs = feeds.map(
      (feed) => new Map(inputs.flatMap((v) => (feed[v.name] ? [[v, feed[v.name] as Feeds[string]]] : []))),
    )
  }

  feeds(inputs: readonly Value[]): Feeds[] {
    return this.#runs.map(
      (run) => Object.fromEntries(inputs.flatMap((v) => (run.has(v) ? [[v.name, run.get(v)]] : []))) as Feeds,
    )
  }

  add(run: number, made: readonly Value[], outputs: Feeds): void {
    for (const value of made) {
      const tensor = outputs[value.name]
      if (!tensor) continue
      this.values.add(value)
      this.#runs[run]?.set(value, tensor)
    }
  }

  drop(isDone: (value: Value) => boolean): void {
    for (const value of [...this.values].filter(isDone)) {
      this.values.delete(value)
      for (const run of this.#runs) run.delete(value)
    }
  }
}

/** The part of the network from kept values to `made`, and to the means of some layers. */
function partFor(
  model: Model,
  kept: ReadonlySet<Value>,
  made: readonly Value[],
  layers: readonly BiasedLayer[],
  squares: boolean,
) {
  const outputs = [...new Set([...made, ...layers.map(({ output }) => output)])]
  const read = new Set(nodesLeadingTo(model.graph, outputs, kept).flatMap((node) => [...dependencies(node)]))
  const inputs = [...kept].filter((value) => read.has(value))
  const part = extract(model, inputs, outputs)
  const measured = addMeans(part, layers, squares)
  const wanted = new Set([...made.map(({ name }) => name), ...measured.flatMap((m) => [m.mean, m.square ?? m.mean])])
  const all = part.graph.outputs.splice(0)
  part.graph.outputs.push(...all.filter(({ name }) => wanted.has(name)))
  return { part, inputs, measured }
}

/** Writes what the plan says of a part of the network. */
export function writePart(part: Model, { plan, params, form }: QuantizedContext): Model {
  const own = planOf(part, plan)
  const all = new Map(params)
  resolveBiases(part, own, all, new Diagnostics())
  return materialize(part, own, all, { form })
}

/** The tensors of a plan that a part reads. Its outputs are taken as they are before they are quantized. */
function planOf({ graph }: Model, plan: QuantPlan): QuantPlan {
  const values = valuesByName(graph)
  const tensors = plan.tensors.flatMap(({ graphOutput: _, ...tensor }) => {
    const reading = new Set(
      values
        .get(tensor.value)
        ?.uses()
        .map(({ node }) => node.name),
    )
    const readers = tensor.readers.filter((name) => reading.has(name))
    return readers.length > 0 ? [{ ...tensor, readers }] : []
  })
  return { ...plan, tensors }
}

async function runAll(
  engine: Engine,
  model: Model,
  load: LoadOptions,
  feeds: readonly Feeds[],
  signal: AbortSignal | undefined,
  take: (outputs: Feeds, run: number) => void,
): Promise<void> {
  const session = await engine.load(model, load)
  try {
    for (const [i, feed] of feeds.entries()) {
      signal?.throwIfAborted()
      take(await session.run(feed), i)
    }
  } finally {
    await session.release()
  }
}
