import type { Feeds, ModelInput } from '../engine/index.ts'
import type { Model, Tensor } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { ParameterGroup } from './groups.ts'
import type { Constraint, Regularizer } from './hooks.ts'
import type { Loss } from './loss.ts'
import type { Optimizer } from './optimizer.ts'
import type { Progress } from './progress.ts'
import type { RandomInput, Trainable } from './trainable.ts'
import { writeStep } from './write-step.ts'

export interface TrainingStepOptions {
  readonly trainable: Trainable
  readonly loss: Loss
  readonly optimizer: Optimizer
  readonly groups?: readonly ParameterGroup[]
  /** Scales all gradients down where their common norm is larger than this. */
  readonly clipNorm?: number
  /** Keeps a moving average of the parameters, with this decay for each step. */
  readonly ema?: Ema
  /** How many batches make one step. Default 1. */
  readonly accumulate?: number
  readonly regularizers?: readonly Regularizer[]
  readonly constraints?: readonly Constraint[]
  /** A network with the same inputs, whose outputs the loss may compare with. It does not train. */
  readonly teacher?: Model
  /** Sizes of inputs with open dimensions, by input. Gradients of some operators need them. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  readonly ops: OpRegistry
}

export interface Ema {
  readonly decay: number
  /** Takes min(decay, (1 + t)/(10 + t)) at step t, so that the first steps do not count for long. Default true. */
  readonly warmup?: boolean
}

/**
 * A tensor that a step takes and gives back changed. `parameter` and `update` are initializers of the network; `slot` and `constraint`
 * belong to optimizer and constraints, `ema` are averaged parameters, `accumulator` sums of gradients.
 */
export interface StateEntry {
  /** Initializer, or `initializer/what`. */
  readonly name: string
  readonly role: 'parameter' | 'update' | 'slot' | 'constraint' | 'ema' | 'accumulator'
  /** Input of the step's graph. */
  readonly input: string
  /** Output of the step's graph. */
  readonly output: string
  readonly initial: Tensor
}

/** Forward pass, loss, backward pass and optimizer as one graph. */
export interface TrainingStep {
  readonly model: Model
  readonly state: readonly StateEntry[]
  /** Data that each step feeds, noise not included. */
  readonly inputs: readonly ModelInput[]
  /** Input for int32 class indices. */
  readonly labels?: string
  /** Inputs for the tensors that outputs are compared with, by output of the network. */
  readonly targets: Readonly<Record<string, string>>
  readonly random: readonly RandomInput[]
  /** Input for the learning rate. */
  readonly lr: string
  /** Further scalars to feed, by input. */
  readonly scalars: (progress: Progress) => Readonly<Record<string, number>>
  /** Outputs. `hits`: how many labels have the highest score. `gradNorm`: before clipping. */
  readonly outputs: { readonly loss: string; readonly hits?: string; readonly gradNorm?: string }
  readonly accumulate: number
  /** Everything but data, rates and the network's weights. JSON. */
  readonly settings: Readonly<Record<string, unknown>>
}

/** What one step takes, or one part of an accumulated step. */
export interface StepBatch {
  /** By input of the network. */
  readonly feeds: Feeds
  /** Class indices: one for each sample, or an int32 tensor where there are more. */
  readonly labels?: Int32Array | Tensor
  /** What the first output is compared with. */
  readonly target?: Tensor
  /** What outputs are compared with, by output of the network. */
  readonly targets?: Feeds
}

/**
 * Writes the graph of a training step.
 * @throws FewbitError TRAIN_* where the parts do not fit together; AUTODIFF_* where the loss cannot be differentiated.
 */
export function trainingStep(options: TrainingStepOptions): TrainingStep {
  return writeStep(options)
}
