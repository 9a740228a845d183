import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { type DataSource, type Dataset, type ModelInput, pictureSamples } from '@fewbit/core/engine'
import { must, problem } from '@fewbit/core/util'
import { extract } from 'tar-stream'
import { atMost, type DataOptions, spread } from './data-options.ts'
import { classImages, isImageName } from './image-folder.ts'
import { decodedPictures, type EncodedImage, imageInput } from './image-sample.ts'

/** No picture is larger; a header that claims so is damaged. */
const MAX_ENTRY = 2 ** 28

/**
 * Images in a `.tar` or `.tar.gz` of class folders. Opening reads the names only; every iteration streams the archive anew,
 * in its order, so memory does not grow with it. Archives are sorted by class as a rule: use `samples` for a part of one.
 */
export function tarImages(path: string, options: DataOptions = {}): DataSource {
  return { name: path, open: (inputs, samples) => openTar(path, inputs, atMost(options, samples)) }
}

async function openTar(path: string, inputs: readonly ModelInput[], options: DataOptions): Promise<Dataset> {
  const target = imageInput(inputs, options)
  const names: string[] = []
  for await (const { name, skip } of images(path)) {
    names.push(name)
    skip()
  }
  if (names.length === 0) throw problem('DATA_EMPTY', 'the archive holds no images', { at: { file: path } })
  const labels = new Map(classImages(names).map(({ file, label }) => [file, label]))
  const picked = new Set(spread(names.length, options.samples).map((i) => must(names[i], 'name')))
  const pictures = decodedPictures(() => encodedImages(path, picked, labels), target, options)
  return {
    name: path,
    length: picked.size,
    pictures,
    samples: () => pictureSamples(pictures),
    toJSON: () => ({ kind: 'tar', name: basename(path), samples: picked.size, preprocess: target.preprocess }),
  }
}

async function* encodedImages(
  path: string,
  picked: ReadonlySet<string>,
  labels: ReadonlyMap<string, number | undefined>,
): AsyncGenerator<EncodedImage> {
  let left = picked.size
  for await (const { name, skip, read } of images(path)) {
    if (!picked.has(name)) skip()
    else {
      const bytes = await read()
      yield { id: name, label: labels.get(name), bytes: () => bytes }
      if (--left === 0) return
    }
  }
}

interface Entry {
  readonly name: string
  skip(): void
  read(): Promise<Uint8Array>
}

async function* images(path: string): AsyncGenerator<Entry> {
  const file = createReadStream(path)
  const tar = extract()
  const packed = /gz$/i.test(path)
  const fail = (error: Error): void => tar.destroy(error)
  file.on('error', fail)
  if (packed) file.pipe(createGunzip().on('error', fail)).pipe(tar)
  else file.pipe(tar)
  try {
    for await (const entry of tar) {
      const name = entry.header.name.replace(/^\.\//, '')
      const wanted = entry.header.type === 'file' && isImageName(name) && !/(^|\/)\._/.test(name)
      if (wanted) yield { name, skip: () => entry.resume(), read: () => readAll(entry as unknown as Readable, name) }
      else entry.resume()
    }
  } catch (error) {
    throw problem(
      'DATA_TAR',
      `the archive cannot be read: ${(error as Error).message}`,
      {
        at: { file: path },
        fix: 'copy or pack it again',
      },
      error,
    )
  } finally {
    file.destroy()
    tar.destroy()
  }
}

async function readAll(entry: Readable, name: string): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of entry) {
    size += (chunk as Buffer).length
    if (size > MAX_ENTRY) throw new Error(`"${name}" is larger than ${MAX_ENTRY} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
