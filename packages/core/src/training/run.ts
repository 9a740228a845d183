import { blockedChannels, type Engine, type Feeds, type LoadOptions, type Session } from '../engine/index.ts'
import { cloneModel, type Model, Tensor } from '../ir/index.ts'
import { blockConvolutions } from '../passes/index.ts'
import { must, problem } from '../util/index.ts'
import { noise, noiseDims } from './noise.ts'
import type { StateEntry, StepBatch, TrainingStep } from './step.ts'

export interface TrainingRunOptions {
  /** Of all noise that steps feed. Default 0. */
  readonly seed?: number
  readonly load?: LoadOptions
}

export interface StepSettings {
  readonly lr: number
  /** Steps of the whole run, for what changes along with it. Default: as many as were made, with this one. */
  readonly total?: number
}

export interface StepReport {
  /** Before the update, regularizers included; the mean over the batches of the step. */
  readonly loss: number
  /** How many labels had the highest score, where there are labels. */
  readonly hits?: number
  /** Before clipping, where gradients are clipped. */
  readonly gradNorm?: number
}

/** Runs a training step again and again, and keeps its state. Not re-entrant: await one step before the next. */
export class TrainingRun {
  readonly step: TrainingStep
  readonly #session: Session
  /** Of all noise. */
  readonly seed: number
  readonly #feeds: Record<string, Tensor> = {}
  readonly #part: readonly StateEntry[]
  readonly #whole: readonly StateEntry[]
  readonly #noise: readonly (readonly (number | undefined)[])[]
  #steps = 0

  private constructor(step: TrainingStep, session: Session, seed: number) {
    this.step = step
    this.#session = session
    this.seed = seed
    this.#part = step.state.filter(({ role }) => role === 'accumulator' || role === 'update')
    this.#whole = step.state.filter(({ role }) => role !== 'accumulator')
    this.#noise = step.random.map(({ name }) => noiseDims(step.model, name))
    for (const { input, initial } of step.state) this.#feeds[input] = initial
  }

  /** @throws FewbitError ENGINE_LOAD; TRAIN_SHAPE for noise of open shape. */
  static async load(engine: Engine, step: TrainingStep, options: TrainingRunOptions = {}): Promise<TrainingRun> {
    const load = trainingLoad(step.model, options.load)
    const model = await onBlockedKernels(engine, step.model, load)
    return new TrainingRun(step, await engine.load(model, load), options.seed ?? 0)
  }

  /** How many steps were made. */
  get steps(): number {
    return this.#steps
  }

  /**
   * Makes one step.
   * @param batches one, or as many as a step accumulates, of equal size.
   * @throws FewbitError ENGINE_RUN; TRAIN_BATCHES for another number of batches.
   */
  async advance(batches: StepBatch | readonly StepBatch[], { lr, total }: StepSettings): Promise<StepReport> {
    const parts: readonly StepBatch[] = 'feeds' in batches ? [batches] : batches
    const { accumulate, scalars, lr: lrInput, outputs } = this.step
    if (parts.length !== accumulate) throw wrongCount(parts.length, accumulate)
    const step = this.#steps + 1
    this.#feed({ [lrInput]: lr, ...scalars({ step, total: total ?? step }) })
    const reports: Feeds[] = []
    for (const [i, batch] of parts.entries()) {
      const isLast = i === parts.length - 1
      const changed = isLast ? this.#whole : this.#part
      const result = await this.#run(batch, this.#steps * accumulate + i, changed)
      reports.push(result)
      for (const { input, output } of changed) this.#feeds[input] = must(result[output], output)
    }
    for (const { role, input, initial } of this.step.state) if (role === 'accumulator') this.#feeds[input] = initial
    this.#steps = step
    return reportOf(reports, outputs)
  }

  #run(batch: StepBatch, position: number, changed: readonly StateEntry[]): Promise<Feeds> {
    const feeds: Record<string, Tensor> = { ...this.#feeds, ...batch.feeds }
    const { labels, targets, random } = this.step
    if (labels !== undefined && batch.labels) feeds[labels] = labelTensor(batch.labels)
    for (const [i, [output, input]] of Object.entries(targets).entries()) {
      const target = batch.targets?.[output] ?? (i === 0 ? batch.target : undefined)
      if (target) feeds[input] = target
    }
    const size = Object.values(batch.feeds)[0]?.dims[0] ?? 1
    for (const [i, input] of random.entries()) {
      const dims = must(this.#noise[i], 'dims').map((d) => d ?? size)
      feeds[input.name] = noise(input, dims, this.seed, position, i)
    }
    const wanted = [...Object.values(this.step.outputs), ...changed.map(({ output }) => output)]
    return this.#session.run(feeds, wanted)
  }

  #feed(scalars: Readonly<Record<string, number>>): void {
    for (const [input, value] of Object.entries(scalars)) this.#feeds[input] = Tensor.float32([], [value])
  }

  /**
   * The network's state by initializer, for `withState`. Tensors belong to the run and are not changed by later steps.
   * @param averaged takes moving averages of the parameters where there are any.
   */
  state(averaged = false): Map<string, Tensor> {
    const now = ({ input }: StateEntry): Tensor => must(this.#feeds[input], input)
    const found = new Map<string, Tensor>()
    for (const entry of this.step.state) {
      if (entry.role === 'parameter' || entry.role === 'update') found.set(entry.name, now(entry))
    }
    for (const entry of averaged ? this.step.state : []) {
      if (entry.role === 'ema') found.set(entry.name.slice(0, -'/ema'.length), now(entry))
    }
    return found
  }

  /** Everything that a step takes and gives back, by the names of the state's entries. */
  fullState(): Map<string, Tensor> {
    const kept = this.step.state.filter(({ role }) => role !== 'accumulator')
    return new Map(kept.map(({ name, input }) => [name, must(this.#feeds[input], input)]))
  }

  /** Puts the run where another one was. Entries that are missing keep their content. */
  restore(state: ReadonlyMap<string, Tensor>, steps: number): void {
    for (const { name, input } of this.step.state) {
      const tensor = state.get(name)
      if (tensor) this.#feeds[input] = tensor
    }
    this.#steps = steps
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}

const labelTensor = (labels: Int32Array | Tensor): Tensor =>
  labels instanceof Int32Array ? Tensor.fromStorage('int32', [labels.length], labels) : labels

/** Levels at which the engine chooses kernels. */
const OPTIMIZED = ['all', 'simulate']

/**
 * Fake quantization may be written as pairs, which stay in float: integer kernels have no part in training. Memory that is planned ahead
 * would be a quarter more, because what the forward pass leaves lives until the backward pass.
 */
function trainingLoad({ graph }: Model, load: LoadOptions = {}): LoadOptions {
  const hasPairs = [...graph.nodes].some((node) => node.qualifiedType === 'DequantizeLinear')
  const { optimization = 'all' } = load
  return { memoryPattern: false, ...load, optimization: hasPairs && optimization === 'all' ? 'simulate' : optimization }
}

/** Weights of a step are fed, and engines choose their fastest kernels for constant ones only: `blockConvolutions` does it here. */
async function onBlockedKernels(engine: Engine, model: Model, load: LoadOptions = {}): Promise<Model> {
  const block = await blockedChannels(engine)
  if (block < 2 || !OPTIMIZED.includes(load.optimization ?? 'all')) return model
  const copy = cloneModel(model)
  return blockConvolutions(copy, block) > 0 ? copy : model
}

function reportOf(parts: readonly Feeds[], { loss, hits, gradNorm }: TrainingStep['outputs']): StepReport {
  const number = (feeds: Feeds, name: string): number => feeds[name]?.numbers()[0] ?? Number.NaN
  const sum = (name: string): number => parts.reduce((total, feeds) => total + number(feeds, name), 0)
  return {
    loss: sum(loss) / parts.length,
    ...(hits !== undefined && { hits: sum(hits) }),
    ...(gradNorm !== undefined && { gradNorm: number(must(parts.at(-1), 'batch'), gradNorm) }),
  }
}

const wrongCount = (given: number, wanted: number): Error =>
  problem('TRAIN_BATCHES', `a step takes ${wanted} batches, not ${given}`, {
    fix: 'give as many batches as it accumulates',
  })
