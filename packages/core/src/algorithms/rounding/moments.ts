import { batches, dropPadding, type Engine, type Feeds, modelInputs, type Session } from '../../engine/index.ts'
import { extract, type Model, type Node, Tensor, type Value } from '../../ir/index.ts'
import { must, type Rng, rng } from '../../util/index.ts'
import type { CalibrationData } from '../algorithm.ts'
import { type MomentSource, momentsModel, type SourcePorts } from './moments-graph.ts'
import { PiecewiseNetwork, type RunnableNetwork } from './piecewise.ts'

/** Sums over calibration samples and positions of a layer's unfolded input. x̃ is what the layer sees, x what it sees in float. */
export interface InputMoments {
  /** Number of columns that were summed. */
  count: number
  /** Σ x̃ x̃ᵀ, [groups, K, K]. */
  readonly gram: Float64Array
  /** Σ x̃, [groups, K]. */
  readonly sum: Float64Array
  /** Σ x x̃ᵀ and Σ x, where x̃ is not x. */
  readonly cross?: Float64Array
  readonly floatSum?: Float64Array
}

/** What all collections of a run have in common. */
export interface MomentsSetup {
  readonly engine: Engine
  readonly data: CalibrationData
  /** Columns of a layer to count, about: the rest of its positions is skipped evenly. */
  readonly positions: number
  /** Of the phase at which positions are skipped. */
  readonly seed: number
  readonly signal?: AbortSignal
}

/** The sources' data for one batch: as the layer sees it and, where that is not the same, as it is in float. */
interface SourceBatch {
  readonly samples: number
  readonly seen: readonly Tensor[]
  readonly float?: readonly Tensor[]
}

/** Second moments of the float network's values that some layers read, in the order of the sources, in one pass over the data. */
export async function floatMoments(
  cx: MomentsSetup,
  network: RunnableNetwork,
  sources: readonly MomentSource[],
): Promise<InputMoments[]> {
  return collect(cx, sources, false, floatBatches(cx, network, sources))
}

async function* floatBatches(
  { engine, data, signal }: MomentsSetup,
  { model, load }: RunnableNetwork,
  sources: readonly MomentSource[],
): AsyncGenerator<SourceBatch> {
  const names = namesIn(model, sources)
  const values = inputsOf(model, sources)
  const inputs = model.graph.inputs.filter((value) => !value.constant)
  const session = await engine.load(extract(model, inputs, [...new Set(values)]), load)
  try {
    for await (const batch of runsOf(data, model, signal)) {
      const made = dropPadding({ ...batch.feeds, ...(await session.run(batch.feeds)) }, batch)
      yield { samples: batch.samples.length, seen: pick(made, names) }
    }
  } finally {
    await session.release()
  }
}

const runsOf = (data: CalibrationData, model: Model, signal?: AbortSignal) =>
  batches(data.dataset, modelInputs(model), {
    batchSize: data.batchSize,
    limit: data.samples,
    ...(signal ? { signal } : {}),
  })

const pick = (feeds: Feeds, names: readonly string[]): Tensor[] =>
  names.map((name) => must(feeds[name], `value "${name}"`))

/** The values that the nodes of these names read in a network. */
function inputsOf({ graph }: Model, sources: readonly MomentSource[]): Value[] {
  const nodes = new Map([...graph.nodes].map((node): [string, Node] => [node.name, node]))
  return sources.map(({ node, data }) => must(nodes.get(node.name)?.inputs[data], `input of "${node.name}"`))
}

const namesIn = (model: Model, sources: readonly MomentSource[]): string[] =>
  inputsOf(model, sources).map((value) => value.name)

/**
 * Moments of pairs: the same layer's input in the float network and in a quantized one, whose weights may change from one call to the next
 * behind the layers that were asked for before.
 */
export class PairedMoments {
  readonly #cx: MomentsSetup
  readonly #float: RunnableNetwork
  readonly #networks: readonly [PiecewiseNetwork, PiecewiseNetwork]
  readonly #samples: readonly number[]

  private constructor(cx: MomentsSetup, float: RunnableNetwork, feeds: readonly Feeds[], samples: readonly number[]) {
    this.#cx = cx
    this.#float = float
    this.#samples = samples
    this.#networks = [new PiecewiseNetwork(cx.engine, feeds), new PiecewiseNetwork(cx.engine, feeds)]
  }

  /** Reads the samples, which stay in memory. */
  static async over(cx: MomentsSetup, float: RunnableNetwork): Promise<PairedMoments> {
    const runs = []
    for await (const batch of runsOf(cx.data, float.model, cx.signal)) runs.push(batch)
    const feeds = runs.map((batch) => batch.feeds)
    const samples = runs.map((batch) => batch.samples.length)
    return new PairedMoments(cx, float, feeds, samples)
  }

  collect(quantized: RunnableNetwork, sources: readonly MomentSource[]): Promise<InputMoments[]> {
    return collect(this.#cx, sources, true, this.#batches(quantized, sources))
  }

  async *#batches(quantized: RunnableNetwork, sources: readonly MomentSource[]): AsyncGenerator<SourceBatch> {
    const names = [this.#float, quantized].map(({ model }) => namesIn(model, sources)) as [string[], string[]]
    const runs = this.#networks[1].run(quantized, names[1])
    let i = 0
    for await (const float of this.#networks[0].run(this.#float, names[0])) {
      this.#cx.signal?.throwIfAborted()
      const seen = must((await runs.next()).value as Feeds | undefined, 'batch')
      yield { samples: this.#samples[i++] as number, seen: pick(seen, names[1]), float: pick(float, names[0]) }
    }
    await runs.next()
  }
}

async function collect(
  cx: MomentsSetup,
  sources: readonly MomentSource[],
  paired: boolean,
  runs: AsyncIterable<SourceBatch>,
): Promise<InputMoments[]> {
  const { model, ports } = momentsModel(sources, paired)
  const moments = sources.map((source) => emptyMoments(source, paired))
  const session = await cx.engine.load(model)
  try {
    await addAll(cx, session, ports, moments, runs)
  } finally {
    await session.release()
  }
  return moments
}

async function addAll(
  { positions, seed, data }: MomentsSetup,
  session: Session,
  ports: readonly SourcePorts[],
  moments: readonly InputMoments[],
  runs: AsyncIterable<SourceBatch>,
): Promise<void> {
  const random = rng(seed)
  const expected = Math.min(data.samples, data.dataset.length ?? data.samples)
  for await (const batch of runs) {
    const wanted = (positions * batch.samples) / expected
    const feeds = ports.map((port, i) => feedsOf(port, batch, i, wanted, random))
    const sums = await session.run(Object.assign({}, ...feeds))
    for (const [i, port] of ports.entries()) addMoments(must(moments[i], 'moments'), port, sums)
  }
}

const emptyMoments = ({ groups, terms }: MomentSource, paired: boolean): InputMoments => ({
  count: 0,
  gram: new Float64Array(groups * terms * terms),
  sum: new Float64Array(groups * terms),
  ...(paired ? { cross: new Float64Array(groups * terms * terms), floatSum: new Float64Array(groups * terms) } : {}),
})

/** Every so many positions count. Odd, so that all columns of a map are met whose width is a power of two. */
function stepFor({ unfold }: MomentSource, { size }: Tensor, wanted: number): number {
  const step = Math.floor(size / unfold.channels / Math.max(wanted, 1))
  return Math.max(1, step % 2 === 0 ? step - 1 : step)
}

function feedsOf(port: SourcePorts, batch: SourceBatch, i: number, wanted: number, random: Rng): Feeds {
  const seen = must(batch.seen[i], 'data')
  const step = stepFor(port.source, seen, wanted)
  return {
    [port.seen]: seen,
    ...(port.float ? { [port.float]: must(batch.float?.[i], 'float data') } : {}),
    [port.start]: Tensor.int64([1], [random.int(step)]),
    [port.step]: Tensor.int64([1], [step]),
  }
}

function addMoments(moments: InputMoments, { gram, sum, dims, cross, floatSum }: SourcePorts, sums: Feeds): void {
  const add = (to: Float64Array | undefined, name: string | undefined) => {
    const from = name === undefined ? undefined : must(sums[name], `output "${name}"`).numbers()
    if (to && from) for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + (from[i] as number)
  }
  add(moments.gram, gram)
  add(moments.sum, sum)
  add(moments.cross, cross)
  add(moments.floatSum, floatSum)
  const [batch = 0, , , positions = 0] = must(sums[dims], 'dims').integers()
  moments.count += batch * positions
}
