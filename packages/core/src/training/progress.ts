/** Where a training run stands. */
export interface Progress {
  /** The step that is being made, from 1. */
  readonly step: number
  /** Steps of the whole run. */
  readonly total: number
}

/** Numbers that change from step to step, by name. Computed in double precision and fed to the graph as scalars. */
export type Scalars = (progress: Progress) => Readonly<Record<string, number>>
