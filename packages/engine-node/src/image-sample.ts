import { type ModelInput, type Picture, type Pictures, type Preprocess, resolvePreprocess } from '@fewbit/core/engine'
import { FewbitError, problem } from '@fewbit/core/util'
import { type DataOptions, preprocessOf } from './data-options.ts'
import { decodeImage } from './image-decode.ts'
import { prefetch } from './prefetch.ts'

/** Decodes in flight: sharp works in the thread pool of libuv, which has four threads. */
const AHEAD = 4

export interface EncodedImage {
  readonly id: string
  readonly label: number | undefined
  readonly bytes: () => Promise<Uint8Array> | Uint8Array
}

export interface ImageInput {
  readonly input: ModelInput
  readonly preprocess: Preprocess
}

/** @throws FewbitError DATA_INPUT if the model has more than one input, which images alone cannot feed. */
export function imageInput(inputs: readonly ModelInput[], options: DataOptions): ImageInput {
  const [input, second] = inputs
  if (!input || second) {
    throw problem('DATA_INPUT', `images feed one input, but the model has ${inputs.length}`, {
      fix: 'give the samples as .npz files with one array for each input name',
    })
  }
  return { input, preprocess: resolvePreprocess(preprocessOf(options), input) }
}

/** @param images gives the same images each time that it is called. */
export function decodedPictures(
  images: () => Iterable<EncodedImage> | AsyncIterable<EncodedImage>,
  { input, preprocess }: ImageInput,
  options: DataOptions,
): Pictures {
  return {
    input,
    preprocess,
    async *read() {
      for await (const picture of prefetch(images(), AHEAD, (image) => decoded(image, preprocess, options)))
        if (picture) yield picture
    },
  }
}

/** @returns undefined for an unreadable image that `onError: 'skip'` leaves out. */
async function decoded(
  { id, label, bytes }: EncodedImage,
  preprocess: Preprocess,
  options: DataOptions,
): Promise<Picture | undefined> {
  try {
    const pixels = await decodeImage(await bytes(), preprocess)
    return label === undefined ? { id, pixels } : { id, pixels, label }
  } catch (error) {
    if (options.onError !== 'skip') throw unreadable(id, error)
    options.diagnostics?.warn('DATA_SKIPPED', `left out an image that cannot be read: ${reason(error)}`, {
      at: { file: id },
    })
    return undefined
  }
}

function unreadable(file: string, error: unknown): Error {
  const code = error instanceof FewbitError ? error.code : 'DATA_IMAGE'
  return problem(
    code,
    `cannot use the image: ${reason(error)}`,
    {
      at: { file },
      fix: 'repair or remove the file, or leave such files out with --skip-unreadable (onError: "skip" in code)',
    },
    error,
  )
}

const reason = (error: unknown): string =>
  error instanceof FewbitError ? (error.diagnostics[0]?.message ?? error.message) : (error as Error).message
