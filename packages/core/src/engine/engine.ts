import type { Model, Tensor } from '../ir/index.ts'
import type { StartPool } from './kernel-pool.ts'

/** Tensors by input or output name. */
export type Feeds = Readonly<Record<string, Tensor>>

export interface Capabilities {
  /** Highest ai.onnx opset that the engine loads. */
  readonly maxOpset: number
  readonly maxIrVersion: number
  /** Execution providers by the engine's own names, best first. */
  readonly providers: readonly string[]
  readonly threads: number
}

export interface LoadOptions {
  /**
   * `all` is the engine's default. `basic` only rewrites that keep every value's meaning. `none` runs the graph as
   * written. `simulate` optimizes but leaves QuantizeLinear/DequantizeLinear unfused, so that arithmetic is float.
   */
  readonly optimization?: 'all' | 'basic' | 'none' | 'simulate'
  /** Threads inside one operator; the engine's default is one per core. */
  readonly threads?: number
  readonly providers?: readonly string[]
  /** False returns memory to the system after each run at some cost in speed. */
  readonly arena?: boolean
  /**
   * False takes memory value by value instead of in one block that is planned from the first run: less for graphs in which many values live
   * long, at no cost in speed.
   */
  readonly memoryPattern?: boolean
  /** File path for a trace of the run, where the engine has one. */
  readonly profile?: string
  /** File path to which the engine writes its optimized graph. */
  readonly saveOptimized?: string
}

/** A model as a graph, in serialized form, or as the path of a file. Graphs may be larger than 2 GiB. */
export type ModelSource = Model | Uint8Array | { readonly path: string }

export interface SessionValue {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly (number | string)[]
}

/** A loaded model. Not re-entrant: await one run before the next. */
export interface Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  /**
   * Runs the model once.
   * @param wanted output names; all outputs by default.
   * @throws FewbitError ENGINE_RUN with the engine's message and the feeds' shapes.
   */
  run(feeds: Feeds, wanted?: readonly string[]): Promise<Feeds>
  release(): Promise<void>
}

/** What runs models. Implementations live in their own packages. */
export interface Engine {
  readonly name: string
  readonly version: string
  readonly capabilities: Capabilities
  /** Starts threads for kernels in shared memory, where the host has them; they run what is computed in whole numbers. */
  readonly startPool?: StartPool
  /** @throws FewbitError ENGINE_LOAD, or ENGINE_UNSUPPORTED for outputs that would abort the process. */
  load(model: ModelSource, options?: LoadOptions): Promise<Session>
}
