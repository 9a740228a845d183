import { checkSample, type Dataset, isLuma, type ModelInput, type Sample } from '../engine/index.ts'
import type { Tensor } from '../ir/index.ts'
import { bytes, must, type NamedRequest, problem } from '../util/index.ts'
import { moverOf } from './augment.ts'
import { type Column, PictureColumn, TensorColumn } from './columns.ts'
import type { PictureShape } from './placement.ts'
import { TrainingData } from './training-data.ts'

export interface TrainingDataOptions {
  /** What is done to pictures, another way in each epoch; in this order. */
  readonly augment?: readonly NamedRequest[]
  /** Of order and augmentation. Default 1. */
  readonly seed?: number
  /** Memory that samples may take. Default 4 GiB. */
  readonly maxBytes?: number
  readonly progress?: (done: number, total: number | undefined) => void
  readonly signal?: AbortSignal
}

const DEFAULT_MAX_BYTES = 2 ** 32

/**
 * Reads all samples once and keeps them: pictures as bytes, anything else in its own type.
 * @throws FewbitError DATA_EMPTY, DATA_SHAPE for samples of different sizes, DATA_SIZE beyond `maxBytes`, AUGMENTATION_* where nothing can
 * be moved; what the data throw; the signal's reason when aborted.
 */
export async function loadTrainingData(
  dataset: Dataset,
  inputs: readonly ModelInput[],
  options: TrainingDataOptions = {},
): Promise<TrainingData> {
  const { augment = [], seed = 1 } = options
  const mover = augment.length > 0 ? moverOf(augment) : undefined
  const kept = (await keptPictures(dataset, options)) ?? (await keptSamples(dataset, inputs, options))
  if (kept.count === 0) {
    throw problem('DATA_EMPTY', `"${dataset.name}" holds no samples`, {
      fix: 'point --data at a folder or file with samples',
    })
  }
  if (mover) checkMovable(kept, dataset.name)
  return new TrainingData({
    name: dataset.name,
    size: kept.count,
    inputs: kept.inputs,
    synthetic: dataset.synthetic ?? false,
    seed,
    ...(mover && { mover }),
    ...kept.answers(),
    description: { ...dataset.toJSON(), samples: kept.count, ...(augment.length > 0 && { augment }) },
  })
}

/** Everything that has been read so far. */
class Kept {
  readonly inputs = new Map<string, Column>()
  readonly #labels: number[] = []
  #target: TensorColumn | undefined
  #targets = 0
  count = 0

  get target(): TensorColumn | undefined {
    return this.#targets === this.count ? this.#target : undefined
  }

  get byteLength(): number {
    return [...this.inputs.values()].reduce((n, column) => n + column.byteLength, this.#target?.byteLength ?? 0)
  }

  add({ id, label, target }: Pick<Sample, 'id' | 'label' | 'target'>): void {
    if (label !== undefined) this.#labels.push(label)
    if (target) {
      this.#target ??= new TensorColumn(target)
      this.#target.push(target, id)
      this.#targets++
    }
    this.count++
  }

  /** Labels and targets count only where every sample has one. */
  answers(): { labels?: Int32Array; target?: Column } {
    const { target } = this
    return {
      ...(this.#labels.length === this.count && { labels: Int32Array.from(this.#labels) }),
      ...(target && { target }),
    }
  }
}

/** @returns nothing for data that are no pictures of 8 bits. */
async function keptPictures(
  { pictures, length, name }: Dataset,
  options: TrainingDataOptions,
): Promise<Kept | undefined> {
  if (!pictures) return undefined
  const kept = new Kept()
  for await (const { pixels, ...sample } of pictures.read()) {
    options.signal?.throwIfAborted()
    if (isLuma(pixels, pictures.preprocess)) return undefined
    const column = firstOr(kept, pictures.input.name, () => new PictureColumn(pictures, pixels))
    column.push(pixels, sample.id)
    kept.add(sample)
    accept(kept, name, length, options)
  }
  return kept
}

async function keptSamples(
  dataset: Dataset,
  inputs: readonly ModelInput[],
  options: TrainingDataOptions,
): Promise<Kept> {
  const kept = new Kept()
  for await (const sample of dataset.samples()) {
    options.signal?.throwIfAborted()
    checkSample(sample, inputs)
    for (const { name } of inputs) {
      const tensor = must(sample.feeds[name], `feed ${name}`)
      firstOr(kept, name, () => new TensorColumn(tensor, pictureShape(tensor))).push(tensor, sample.id)
    }
    kept.add(sample)
    accept(kept, dataset.name, dataset.length, options)
  }
  return kept
}

function firstOr<C extends Column>(kept: Kept, name: string, make: () => C): C {
  const column = kept.inputs.get(name) ?? make()
  kept.inputs.set(name, column)
  return column as C
}

/** Known from the first sample on where the number of samples is. */
function accept(kept: Kept, name: string, length: number | undefined, options: TrainingDataOptions): void {
  const { maxBytes = DEFAULT_MAX_BYTES, progress } = options
  const needed = kept.byteLength * Math.max(1, (length ?? 0) / kept.count)
  if (needed > maxBytes) throw tooLarge(name, needed, maxBytes)
  progress?.(kept.count, length)
}

/** A tensor of one or three channels may be moved about like a picture. */
function pictureShape({ dims }: Tensor): PictureShape | undefined {
  const [, a = 0, b = 0, c = 0] = dims
  const isChannels = (n: number): boolean => n === 1 || n === 3
  if (dims.length !== 4) return undefined
  if (isChannels(a)) return { layout: 'nchw', channels: a, height: b, width: c }
  return isChannels(c) ? { layout: 'nhwc', channels: c, height: a, width: b } : undefined
}

function checkMovable(kept: Kept, name: string): void {
  const isSpatial = (kept.target?.dims.length ?? 0) > 2
  if ([...kept.inputs.values()].some(({ picture }) => picture) && !isSpatial) return
  const why = isSpatial ? 'their targets are pictures, which would have to move along' : 'they are no pictures'
  throw problem('AUGMENTATION_DATA', `"${name}" cannot be augmented: ${why}`, {
    at: { option: 'augment' },
    fix: 'leave the augmentation out',
  })
}

const tooLarge = (name: string, needed: number, maxBytes: number): Error =>
  problem('DATA_SIZE', `"${name}" takes ${bytes(needed)} of memory, and ${bytes(maxBytes)} are allowed for it`, {
    at: { option: 'data' },
    fix: 'train on fewer samples, resize pictures to what the network takes, or allow more with maxBytes',
  })
