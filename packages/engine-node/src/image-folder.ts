import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type DataSource, type Dataset, type ModelInput, pictureSamples } from '@fewbit/core/engine'
import { problem } from '@fewbit/core/util'
import { atMost, type DataOptions, spread } from './data-options.ts'
import { filesBelow, insidePath } from './folder-walk.ts'
import { decodedPictures, type EncodedImage, imageInput } from './image-sample.ts'
import { labelIndex, parseLabels } from './labels.ts'

const IMAGE = /\.(jpe?g|png|bmp|webp|gif|tiff?|avif)$/i

export const isImageName = (name: string): boolean => IMAGE.test(name)

/**
 * Images in a folder: listed with labels in `labels.csv`, or in one subfolder per class, or without labels. Classes take
 * turns, so that the first samples are a fair part of the whole.
 */
export function imageFolder(path: string, options: DataOptions = {}): DataSource {
  return { name: path, open: (inputs, samples) => openFolder(path, inputs, atMost(options, samples)) }
}

async function openFolder(path: string, inputs: readonly ModelInput[], options: DataOptions): Promise<Dataset> {
  const target = imageInput(inputs, options)
  const all = await listImages(path)
  if (all.length === 0) {
    throw problem('DATA_EMPTY', 'the folder holds no images', {
      at: { file: path },
      fix: 'images end in .jpg, .png, .webp or .bmp and may lie in one subfolder for each class',
    })
  }
  const images = spread(all.length, options.samples).map((i) => all[i] as EncodedImage)
  const pictures = decodedPictures(() => images, target, options)
  return {
    name: path,
    length: images.length,
    pictures,
    samples: () => pictureSamples(pictures),
    toJSON: () => ({
      kind: 'image-folder',
      name: basename(path),
      samples: images.length,
      preprocess: target.preprocess,
    }),
  }
}

async function listImages(path: string): Promise<EncodedImage[]> {
  const files = await filesBelow(path)
  if (files.includes('labels.csv')) return listedImages(path, files)
  return classImages(files.filter(isImageName)).map(({ file, label }) => encoded(path, file, label))
}

const encoded = (folder: string, file: string, label: number | undefined): EncodedImage => ({
  id: file,
  label,
  bytes: () => readFile(join(folder, file)),
})

async function listedImages(path: string, files: readonly string[]): Promise<EncodedImage[]> {
  const csv = join(path, 'labels.csv')
  const rows = parseLabels(await readFile(csv, 'utf8'), csv)
  const index = labelIndex(rows.map((row) => row.label))
  const known = new Set(files)
  for (const row of rows) if (!known.has(row.file)) await refuseRow(path, row.file, csv)
  return rows.map((row) => encoded(path, row.file, index(row.label)))
}

async function refuseRow(path: string, file: string, csv: string): Promise<void> {
  await insidePath(path, join(path, file)).catch((error) => {
    throw problem(
      'DATA_LABELS',
      `labels.csv names "${file}", which the folder does not hold`,
      { at: { file: csv }, fix: 'add the image or remove the line; paths are relative to labels.csv' },
      error,
    )
  })
}

/** Labels by first folder, if there are at least two; then one image of each class in turn. */
export function classImages(files: readonly string[]): { file: string; label: number | undefined }[] {
  const classOf = (file: string): string => file.slice(0, Math.max(file.indexOf('/'), 0))
  const names = new Set(files.map(classOf))
  if (names.size < 2 || names.has('')) return files.map((file) => ({ file, label: undefined }))
  const index = labelIndex(names)
  const groups = new Map<string, string[]>()
  for (const file of files) {
    const group = groups.get(classOf(file))
    if (group) group.push(file)
    else groups.set(classOf(file), [file])
  }
  return interleave([...groups.values()]).map((file) => ({ file, label: index(classOf(file)) }))
}

function interleave(groups: readonly (readonly string[])[]): string[] {
  const longest = Math.max(...groups.map((group) => group.length))
  const turns = Array.from({ length: longest }, (_, i) => groups.flatMap((group) => group.slice(i, i + 1)))
  return turns.flat()
}
