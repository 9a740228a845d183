import type { Sample } from './dataset.ts'
import type { ModelInput } from './inputs.ts'
import { normalizePixels, type Pixels, type Preprocess } from './preprocess.ts'

/** One picture of the size that the network takes, before its pixels are normalized. */
export interface Picture extends Omit<Sample, 'feeds'> {
  readonly pixels: Pixels
}

/**
 * Samples that are one picture each, as bytes: a quarter of the memory that they take as numbers, and what they become is known from
 * `preprocess`.
 */
export interface Pictures {
  readonly input: Pick<ModelInput, 'name' | 'dtype'>
  readonly preprocess: Preprocess
  /** The pictures of all samples, in their order. */
  read(): AsyncIterable<Picture>
}

/** The samples of pictures. */
export async function* pictureSamples(pictures: Pictures): AsyncGenerator<Sample> {
  const { input, preprocess } = pictures
  for await (const { pixels, ...sample } of pictures.read())
    yield { ...sample, feeds: { [input.name]: normalizePixels(pixels, preprocess, input.dtype) } }
}
