import type { Engine, Feeds, Session } from '../../engine/index.ts'
import { extract, Tensor, type Value } from '../../ir/index.ts'
import { must, problem } from '../../util/index.ts'
import { type CodeTensor, codesOfTensor, newCodes, tensorOfCodes } from './codes.ts'
import type { Kernels } from './kernels/kernels.ts'
import { saturating } from './kernels/saturating.ts'
import { fastKernels, pooledKernels } from './kernels/wasm.ts'
import { lookUp, tableOf } from './layers/tables.ts'
import type { IntegerNetwork, IslandStep, Step } from './network.ts'
import { dequantizer, quantizer } from './schemes/real-values.ts'

export interface IntegerRunOptions {
  /** Runs islands in float. Without one, a network that has islands is refused. */
  readonly engine?: Engine
  /** Exact kernels; arithmetics that saturate have their own. */
  readonly kernels?: Kernels
  /** Threads that share large layers, where the engine's host has them; as many as the engine takes by default. */
  readonly threads?: number
}

/** What one run of the network computed. */
export interface IntegerRun {
  readonly outputs: Feeds
  /** Codes by the name of the value that holds them, where they were asked for. */
  readonly layers: ReadonlyMap<string, CodeTensor>
}

/** A compiled network that is ready to run. Not re-entrant: await one run before the next. */
export class IntegerSession {
  readonly network: IntegerNetwork
  readonly #kernels: Kernels
  readonly #islands: ReadonlyMap<Step, Session>
  readonly #lastUse: ReadonlyMap<Value, number>
  /** Kernels that end with the session. */
  readonly #owned: Kernels | undefined

  private constructor(
    network: IntegerNetwork,
    kernels: Kernels,
    owned: Kernels | undefined,
    islands: ReadonlyMap<Step, Session>,
  ) {
    this.network = network
    this.#kernels = kernels
    this.#owned = owned
    this.#islands = islands
    this.#lastUse = lastUses(network)
  }

  /** @throws FewbitError INTEGER_ISLAND where parts have to run in float and no engine is given. */
  static async open(network: IntegerNetwork, options: IntegerRunOptions): Promise<IntegerSession> {
    const { engine } = options
    const islands = network.steps.filter((step): step is IslandStep => step.kind === 'island')
    if (islands.length > 0 && !engine) throw noEngine(network)
    const sessions = new Map<Step, Session>()
    for (const island of islands) {
      const part = extract(network.model, island.reads, island.makes)
      sessions.set(island, await must(engine, 'engine').load(part, { optimization: 'all' }))
    }
    const owned = options.kernels ? undefined : kernelsFor(options)
    const exact = options.kernels ?? (owned as Kernels)
    return new IntegerSession(network, network.scheme.pairs ? saturating(exact) : exact, owned, sessions)
  }

  /** @param keep whether the codes of all layers are handed back. */
  async run(feeds: Feeds, keep = false): Promise<IntegerRun> {
    const memory = new Memory(feeds, this.network, this.#lastUse)
    const layers = new Map<string, CodeTensor>()
    for (const [i, step] of this.network.steps.entries()) {
      if (step.kind === 'island') await this.#runIsland(step, memory)
      else this.#runStep(step, memory)
      if (keep && step.kind !== 'island' && step.kind !== 'dequantize') {
        const codes = memory.codes.get(step.makes)
        if (codes) layers.set(step.makes.name, codes)
      }
      memory.forget(i)
    }
    return { outputs: memory.outputs(), layers }
  }

  async release(): Promise<void> {
    for (const session of this.#islands.values()) await session.release()
    await this.#owned?.close?.()
  }

  async #runIsland(step: IslandStep, memory: Memory): Promise<void> {
    const session = must(this.#islands.get(step), 'session')
    const feeds = Object.fromEntries(step.reads.map((value) => [value.name, memory.tensor(value)]))
    const outputs = await session.run(feeds)
    for (const value of step.makes) memory.store(value, must(outputs[value.name], 'output'))
  }

  #runStep(step: Exclude<Step, IslandStep>, memory: Memory): void {
    const { scheme } = this.network
    if (step.kind === 'layer') {
      const inputs = step.reads.map((value) => memory.codesOf(value))
      memory.store(step.makes, step.built.run(inputs, this.#kernels))
    } else if (step.kind === 'quantize') {
      memory.store(step.makes, quantized(memory.tensor(step.from), step.grid, scheme.rounding))
    } else if (step.kind === 'rescale') {
      const { grid, source } = step
      const table = tableOf(source, { grid, min: grid.min, max: grid.max }, scheme.rescale(source, grid))
      memory.store(step.makes, lookUp(memory.codesOf(step.from), table))
    } else {
      const real = dequantizer(step.grid)
      const { dims, codes } = memory.codesOf(step.from)
      // Float32Array.from walks an iterator.
      const values = new Float32Array(codes.length)
      for (let i = 0; i < values.length; i++) values[i] = real(codes[i] as number)
      memory.store(step.makes, Tensor.float32(dims, values))
    }
  }
}

function kernelsFor({ engine, threads = engine?.capabilities.threads ?? 1 }: IntegerRunOptions): Kernels {
  return engine?.startPool ? pooledKernels(engine.startPool, threads) : fastKernels()
}

function quantized(
  tensor: Tensor,
  grid: Parameters<typeof quantizer>[0],
  rounding: Parameters<typeof quantizer>[1],
): CodeTensor {
  const code = quantizer(grid, rounding)
  const values = tensor.numbers()
  const codes = newCodes(grid.dtype, values.length)
  for (let i = 0; i < codes.length; i++) codes[i] = code(values[i] as number)
  return { dims: tensor.dims, codes, dtype: grid.dtype }
}

/** Values of one run, dropped behind their last reader. */
class Memory {
  readonly codes = new Map<Value, CodeTensor>()
  readonly #reals = new Map<Value, Tensor>()
  readonly #network: IntegerNetwork
  readonly #dropped = new Map<number, Value[]>()

  constructor(feeds: Feeds, network: IntegerNetwork, lastUse: ReadonlyMap<Value, number>) {
    this.#network = network
    for (const input of network.graph.inputs) {
      const tensor = feeds[input.name]
      if (tensor) this.#reals.set(input, tensor)
    }
    for (const [value, i] of lastUse) this.#dropped.set(i, [...(this.#dropped.get(i) ?? []), value])
  }

  store(value: Value, made: CodeTensor | Tensor): void {
    if (made instanceof Tensor) this.#reals.set(value, made)
    else this.codes.set(value, made)
  }

  codesOf(value: Value): CodeTensor {
    const held = this.codes.get(value)
    return held ?? codesOfTensor(this.tensor(value))
  }

  tensor(value: Value): Tensor {
    const codes = this.codes.get(value)
    const tensor = this.#reals.get(value) ?? (codes && tensorOfCodes(codes))
    if (tensor) return tensor
    throw problem('ENGINE_RUN', `the network's input "${value.name}" was not given`)
  }

  forget(step: number): void {
    for (const value of this.#dropped.get(step) ?? []) {
      this.codes.delete(value)
      this.#reals.delete(value)
    }
  }

  outputs(): Feeds {
    return Object.fromEntries([...this.#network.outputs].map(([value, slot]) => [value.name, this.tensor(slot)]))
  }
}

const readsOf = (step: Step): readonly Value[] => ('reads' in step ? step.reads : [step.from])

function lastUses({ steps, outputs }: IntegerNetwork): Map<Value, number> {
  const last = new Map<Value, number>()
  for (const [i, step] of steps.entries()) for (const value of readsOf(step)) last.set(value, i)
  for (const slot of outputs.values()) last.delete(slot)
  return last
}

function noEngine({ floats }: IntegerNetwork) {
  const [first] = floats
  return problem('INTEGER_ISLAND', `${floats.length} nodes have to run in float, and no engine runs them`, {
    at: { node: first?.node ?? '' },
    notes: floats.map(({ node, opType, reason }) => `${opType} "${node}": ${reason}`),
    fix: 'hand over an engine, or quantize the network for a backend that runs them in integers',
  })
}
