import type { Value } from '../ir/index.ts'
import type { GradBuilder } from '../ops/index.ts'
import type { Recorded } from './definition.ts'
import type { Scalars } from './progress.ts'

/** One parameter's part of a step. All tensors are in the parameter's shape but `lr` and `scalars`, which are scalars. */
export interface Update {
  readonly param: Value
  readonly grad: Value
  readonly slots: Readonly<Record<string, Value>>
  /** The rate of this parameter's group. */
  readonly lr: Value
  readonly weightDecay: number
  readonly scalars: Readonly<Record<string, Value>>
}

export interface Updated {
  readonly param: Value
  readonly slots: Readonly<Record<string, Value>>
}

/** Writes one parameter's next value from its gradient, as graph. */
export interface Optimizer extends Recorded {
  /** Decay of parameters whose group says nothing else. */
  readonly weightDecay: number
  /** State of each parameter, zeros at first. */
  readonly slots: readonly string[]
  readonly scalars?: Scalars
  write(g: GradBuilder, update: Update): Updated
}

export type OptimizerBody = Omit<Optimizer, keyof Recorded>
