import type { Tensor } from '../ir/index.ts'
import type { Feeds } from './engine.ts'
import type { ModelInput } from './inputs.ts'
import type { Pictures } from './pictures.ts'

/** One example. Every tensor has the batch axis in front, with size 1. */
export interface Sample {
  /** Names the example for messages: a file name, a row number. */
  readonly id: string
  readonly feeds: Feeds
  /** Class index, where the data is labelled. */
  readonly label?: number
  /** What the first output should be, where that is no class: batch axis in front, with size 1. */
  readonly target?: Tensor
}

/** A re-iterable source of examples. Iterating twice gives the same examples in the same order. */
export interface Dataset {
  readonly name: string
  /** Number of samples where it is known without reading them. */
  readonly length?: number
  /** True for generated data, which proves nothing about accuracy; reports say so. */
  readonly synthetic?: boolean
  samples(): AsyncIterable<Sample>
  /** The same samples before their pixels are normalized, where each is one picture. */
  readonly pictures?: Pictures
  /** What identifies the data and its preprocessing in a recipe. */
  toJSON(): Record<string, unknown>
}

/** Data before it is fitted to a model: which array feeds which input, and image sizes, follow from the inputs. */
export interface DataSource {
  readonly name: string
  /**
   * @param samples use only this many, evenly spread over the whole; a smaller number in the source's own options stands.
   * @throws FewbitError DATA_* where the data cannot serve these inputs.
   */
  open(inputs: readonly ModelInput[], samples?: number): Promise<Dataset>
}
