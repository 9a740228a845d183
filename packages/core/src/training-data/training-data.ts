import type { Dataset, Feeds, Sample } from '../engine/index.ts'
import type { Tensor } from '../ir/index.ts'
import { Digest, invariant } from '../util/index.ts'
import type { Mover } from './augment.ts'
import type { Column } from './columns.ts'
import { epochOrder, sampleRandom } from './order.ts'
import type { Placement } from './placement.ts'

/** What one training step reads. */
export interface TrainingBatch {
  readonly feeds: Feeds
  /** Class of each sample, where all samples have one. */
  readonly labels?: Int32Array
  /** What the first output should be, where all samples say so. */
  readonly target?: Tensor
  /** Places of the samples in the data. */
  readonly indices: Uint32Array
}

export interface TrainingDataParts {
  readonly name: string
  readonly size: number
  readonly inputs: ReadonlyMap<string, Column>
  readonly labels?: Int32Array
  readonly target?: Column
  readonly synthetic: boolean
  readonly seed: number
  readonly mover?: Mover
  readonly description: Readonly<Record<string, unknown>>
}

/** Samples in memory, in batches of one size, shuffled and augmented anew each epoch. */
export class TrainingData {
  readonly name: string
  /** Samples. */
  readonly size: number
  /** One more than the largest class; undefined without classes. */
  readonly classes: number | undefined
  readonly hasTarget: boolean
  readonly #parts: TrainingDataParts
  #digest: string | undefined

  constructor(parts: TrainingDataParts) {
    this.#parts = parts
    this.name = parts.name
    this.size = parts.size
    this.classes = parts.labels?.reduce((most, label) => Math.max(most, label + 1), 0)
    this.hasTarget = parts.target !== undefined
  }

  /** Memory that the samples take. */
  get byteLength(): number {
    return this.#columns().reduce((n, column) => n + column.byteLength, this.#parts.labels?.byteLength ?? 0)
  }

  /** Whole batches of an epoch: at least one, because no batch is larger than the data. */
  batchesPerEpoch(batchSize: number): number {
    return Math.floor(this.size / this.batchSize(batchSize))
  }

  batchSize(wanted: number): number {
    return Math.min(wanted, this.size)
  }

  /**
   * The batches of an epoch from batch `from` on. What is left over after the last whole batch is not used in this epoch; since each epoch
   * has an order of its own, it is other samples each time. A batch depends on data, seed, epoch and its number alone.
   */
  *batches({ batchSize, epoch, from = 0 }: EpochOptions): Generator<TrainingBatch> {
    const size = this.batchSize(batchSize)
    const order = epochOrder(this.size, this.#parts.seed, epoch)
    for (let b = from; b < this.batchesPerEpoch(batchSize); b++)
      yield this.batch(order.subarray(b * size, (b + 1) * size), epoch)
  }

  /** @param epoch of the augmentation; without one the samples are as they are. */
  batch(indices: Uint32Array, epoch?: number): TrainingBatch {
    const { inputs, labels, target } = this.#parts
    invariant(
      indices.every((i) => i < this.size),
      () => 'a sample beyond the end of the data',
    )
    const feeds = [...inputs].map(([name, column]) => [
      name,
      column.batch(indices, this.#placed(column, indices, epoch)),
    ])
    return {
      feeds: Object.fromEntries(feeds),
      ...(labels && { labels: Int32Array.from(indices, (i) => labels[i] as number) }),
      ...(target && { target: target.batch(indices) }),
      indices,
    }
  }

  /**
   * The samples as they are, one by one: for evaluation without reading the data again.
   * @param samples only so many, evenly spread over all.
   */
  asDataset(samples = this.size): Dataset {
    const length = Math.min(samples, this.size)
    return {
      name: this.name,
      length,
      ...(this.#parts.synthetic && { synthetic: true }),
      samples: () => this.#samples(length),
      toJSON: () => ({ ...this.toJSON(), samples: length }),
    }
  }

  async *#samples(length: number): AsyncGenerator<Sample> {
    const { labels } = this.#parts
    for (let k = 0; k < length; k++) {
      const i = Math.floor((k * this.size) / length)
      const { feeds, target } = this.batch(Uint32Array.of(i))
      const label = labels?.[i]
      yield { id: `${i}`, feeds, ...(label !== undefined && { label }), ...(target && { target }) }
    }
  }

  /** SHA-256 of all samples and labels, in their order. */
  digest(): string {
    this.#digest ??= this.#hash()
    return this.#digest
  }

  /** What identifies the data, their preprocessing and augmentation in a recipe. */
  toJSON(): Record<string, unknown> {
    return { ...this.#parts.description }
  }

  #placed(column: Column, indices: Uint32Array, epoch: number | undefined): Placement[] | undefined {
    const { mover, seed } = this.#parts
    const { picture } = column
    if (!mover || !picture || epoch === undefined) return undefined
    return Array.from(indices, (i) => mover(picture, sampleRandom(seed, epoch, i)))
  }

  #columns(): Column[] {
    const { inputs, target } = this.#parts
    return [...inputs.values(), ...(target ? [target] : [])]
  }

  #hash(): string {
    const digest = new Digest()
    for (const column of this.#columns()) for (let i = 0; i < this.size; i++) digest.update(column.row(i))
    return digest.update(JSON.stringify([...(this.#parts.labels ?? [])])).hex()
  }
}

export interface EpochOptions {
  /** Samples in a batch; all of them where there are fewer. */
  readonly batchSize: number
  /** From 0. */
  readonly epoch: number
  readonly from?: number
}
