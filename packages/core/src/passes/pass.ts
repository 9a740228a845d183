import type { Feeds } from '../engine/engine.ts'
import type { Model } from '../ir/index.ts'
import type { OpRegistry } from '../ops/registry.ts'
import type { Diagnostics } from '../util/index.ts'

/** One thing a pass did or declined to do, for `--trace`, `why` and the studio. */
export interface TraceEvent {
  readonly pass: string
  readonly kind: 'fired' | 'declined'
  readonly node: string
  /** For `fired`, what changed; for `declined`, why not. */
  readonly text: string
}

export interface PassContext {
  readonly ops: OpRegistry
  readonly diagnostics: Diagnostics
  readonly trace: (event: TraceEvent) => void
  /**
   * Evaluates a model without inputs. Constant folding has no kernels of its own: whoever has an engine passes it in, and
   * without one nothing heavier than shape arithmetic is folded.
   */
  readonly evaluate?: (model: Model) => Promise<Feeds>
  readonly signal?: AbortSignal
}

export interface PassResult {
  readonly modified: boolean
}

/**
 * A graph transformation. Works in place on a model that the runner owns; callers' models are cloned once before the first
 * pass. `modified` must be true exactly when the graph changed: the runner checks it against the structural hash in tests.
 */
export interface Pass {
  readonly name: string
  /** One line for `--help` and docs. */
  readonly summary: string
  run(model: Model, cx: PassContext): Promise<PassResult> | PassResult
}
