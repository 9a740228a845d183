import type { Value } from '../ir/index.ts'
import type { GradBuilder } from '../ops/index.ts'
import type { Recorded } from './definition.ts'

/** What a loss compares outputs with: class indices, fed tensors, or the outputs of a teacher in the same graph. */
export type LossNeed = 'labels' | 'targets' | 'teacher'

export interface LossInputs {
  /** ai.onnx opset of the graph that is written to. */
  readonly opset: number
  /** The network's outputs, in order. */
  readonly outputs: readonly Value[]
  /** The same, with what a final Softmax takes in place of what it makes. */
  readonly logits: readonly Value[]
  /** int64 class indices in the shape of output 0 without its class axis (axis 1). */
  readonly labels?: Value
  /** Tensors in the outputs' shapes. */
  readonly targets?: readonly Value[]
  /** The teacher's outputs and logits, in the order of the network's. */
  readonly teacher?: { readonly outputs: readonly Value[]; readonly logits: readonly Value[] }
}

/** Writes one number to be made small, as graph. */
export interface Loss extends Recorded {
  readonly needs: readonly LossNeed[]
  /** @returns a scalar (rank 0): the mean over the batch. */
  write(g: GradBuilder, inputs: LossInputs): Value
}

/** What a loss's definition makes. */
export type LossBody = Omit<Loss, keyof Recorded>
