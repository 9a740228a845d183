import type { VerifiedEngine } from '@fewbit/core/pipeline'

/** An engine that runs, and has to be let go of. */
export interface OpenedEngine extends Pick<VerifiedEngine, 'engine' | 'load'> {
  /** What it runs on, where that is not plain from its name. */
  readonly on?: string
  close?(): Promise<void>
}

/** An engine that can be asked for by name. */
export interface EngineSource {
  readonly summary: string
  /** @throws FewbitError where it is not at hand, saying what is missing. */
  open(): Promise<OpenedEngine>
}
