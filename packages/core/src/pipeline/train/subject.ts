import type { LoadOptions } from '../../engine/index.ts'
import type { Model, Tensor } from '../../ir/index.ts'
import type { Constraint, Trainable } from '../../training/index.ts'

/** What is trained: a float network, or one with fake-quantizers. */
export interface Subject {
  readonly trainable: Trainable
  /** The network in the form that is evaluated and saved, with trained state in it. */
  modelWith(state: ReadonlyMap<string, Tensor>): Model
  /** What changes parameters after each update. */
  readonly constraints?: readonly Constraint[]
  /** How that form is loaded. */
  readonly load?: LoadOptions
  /** What else a run depends on, for recipes and checkpoints. JSON. */
  readonly facts: Readonly<Record<string, unknown>>
}
