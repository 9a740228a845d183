import { type Engine, evaluateModel, withCustomOps } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { PassContext, TraceEvent } from '../passes/index.ts'
import { Diagnostics } from '../util/index.ts'
import { type Plugin, type Registries, registriesWith } from './plugin.ts'

/** One step of a long task. `total` is missing where it cannot be known beforehand. */
export interface ProgressEvent {
  readonly stage: string
  readonly state: 'start' | 'progress' | 'end'
  readonly done?: number
  readonly total?: number
  /** What else there is to say of it, such as how the loss stands. */
  readonly note?: string
  /** At `end`: how long the stage took. */
  readonly seconds?: number
}

/** What every verb takes besides its own options. */
export interface RunOptions {
  readonly engine: Engine
  readonly signal?: AbortSignal
  readonly onProgress?: (event: ProgressEvent) => void
  readonly ops?: OpRegistry
  /** Operators, observers, targets and exporters of others, for this run. */
  readonly extensions?: readonly Plugin[]
}

/** State of one verb's run: diagnostics, trace and the time that each stage took. */
export class Run {
  readonly diagnostics = new Diagnostics()
  readonly trace: TraceEvent[] = []
  readonly seconds: Record<string, number> = {}
  readonly registries: Registries
  readonly engine: Engine
  readonly options: RunOptions

  constructor(options: RunOptions) {
    this.options = options
    this.registries = registriesWith(options.extensions, options.ops)
    this.engine = withCustomOps(options.engine, this.registries.ops)
  }

  get ops(): OpRegistry {
    return this.registries.ops
  }

  /** For another verb that does part of the work: the options without those of this verb. */
  get shared(): RunOptions {
    const { engine, signal, onProgress, ops, extensions } = this.options
    return {
      engine,
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
      ...(ops && { ops }),
      ...(extensions && { extensions }),
    }
  }

  /** Runs a stage, reports it and adds its time. Throws the signal's reason if it was aborted before. */
  async stage<T>(name: string, work: (progress: ProgressCallback) => Promise<T> | T): Promise<T> {
    const { signal, onProgress } = this.options
    signal?.throwIfAborted()
    onProgress?.({ stage: name, state: 'start' })
    const start = performance.now()
    const result = await work((done, total, note) =>
      onProgress?.({
        ...{ stage: name, state: 'progress', done },
        ...(total === undefined ? {} : { total }),
        ...(note === undefined ? {} : { note }),
      }),
    )
    const seconds = (performance.now() - start) / 1000
    this.seconds[name] = (this.seconds[name] ?? 0) + seconds
    onProgress?.({ stage: name, state: 'end', seconds })
    return result
  }

  /** What passes need, with constants evaluated by the engine. */
  passContext(): PassContext {
    const { signal } = this.options
    return {
      ops: this.ops,
      diagnostics: this.diagnostics,
      trace: (event) => this.trace.push(event),
      evaluate: (model: Model) => evaluateModel(this.engine, model),
      ...(signal ? { signal } : {}),
    }
  }

  get signal(): { signal?: AbortSignal } {
    return this.options.signal ? { signal: this.options.signal } : {}
  }
}

export type ProgressCallback = (done: number, total: number | undefined, note?: string) => void
