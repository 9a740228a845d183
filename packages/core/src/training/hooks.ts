import type { Tensor, Value } from '../ir/index.ts'
import type { GradBuilder } from '../ops/index.ts'
import type { RecordJson } from './definition.ts'
import type { Scalars } from './progress.ts'
import type { Parameter } from './trainable.ts'

/** What regularizers read. */
export interface NetworkValues {
  /** A parameter, in the content that this step starts from. */
  parameter(name: string): Value
  /** Any value of the training form, by name. */
  value(name: string): Value
  readonly scalars: Readonly<Record<string, Value>>
}

/** Adds a term to the loss. */
export interface Regularizer {
  readonly name: string
  readonly scalars?: Scalars
  toJSON(): RecordJson
  /** @returns a scalar (rank 0). */
  write(g: GradBuilder, network: NetworkValues): Value
}

export interface Constrained {
  readonly parameter: Parameter
  /** Before the step. */
  readonly old: Value
  /** As the optimizer, or the constraint before this one, has it. */
  readonly param: Value
  readonly slots: Readonly<Record<string, Value>>
  readonly scalars: Readonly<Record<string, Value>>
  /** Learning rate of the parameter in this step. */
  readonly lr: Value
  /** The forward pass of this step, on the parameters from which it starts. */
  readonly network: Pick<NetworkValues, 'value'>
}

/** Changes updated parameters, with state of its own: clamps, freezing what oscillates. */
export interface Constraint {
  readonly name: string
  readonly scalars?: Scalars
  toJSON(): RecordJson
  /** First content of the state for a parameter, in any shape; undefined where the constraint leaves the parameter alone. */
  slots(parameter: Parameter, initial: Tensor): Readonly<Record<string, Tensor>> | undefined
  write(g: GradBuilder, update: Constrained): { readonly param: Value; readonly slots: Readonly<Record<string, Value>> }
}
