import type { PresetName } from '../engine/index.ts'
import type { Value } from '../ir/index.ts'
import type { Conventions, NetworkWriter } from './network-writer.ts'

/** A network of the zoo: what is known of it, and how it is written. */
export interface ZooEntry {
  readonly title: string
  readonly paper: string
  /** Whose names the parameters bear, so that whose checkpoints load without a map. */
  readonly names: string
  /** Sizes of one sample, channels first. */
  readonly input: readonly number[]
  /** What a sample is, for `imageFolder` and `--preset`; absent where it is no picture. */
  readonly preset?: PresetName
  readonly classes: number
  /** Elements that training changes, with the default number of classes: weights, biases, BatchNormalization's scale and shift. */
  readonly parameters: number
  /** Multiply-accumulates of one sample, with the default number of classes. */
  readonly macs: number
  /** Least opset with all operators of the network. */
  readonly opset?: number
  readonly conventions: Conventions
  /** Writes the network behind `input` and returns the logits. */
  readonly write: (net: NetworkWriter, input: Value, classes: number) => Value
}
