import { readdir, stat } from 'node:fs/promises'
import { type DataSource, type Dataset, type ModelInput, randomData } from '@fewbit/core/engine'
import { problem } from '@fewbit/core/util'
import { npyDataset, npzDataset } from './array-dataset.ts'
import type { DataOptions } from './data-options.ts'
import { imageFolder } from './image-folder.ts'
import { npzFolder } from './npz-folder.ts'
import { tarImages } from './tar-images.ts'

type Opener = (path: string, options: DataOptions) => DataSource

/** Longest suffix first. */
const BY_SUFFIX: readonly (readonly [RegExp, Opener])[] = [
  [/\.npz$/i, npzDataset],
  [/\.npy$/i, npyDataset],
  [/\.(tar|tar\.gz|tgz)$/i, tarImages],
]

/**
 * Opens what a user names with `--data`: a folder of images or .npz files, a .npz, .npy, .tar or .tar.gz file, or `random`.
 * @throws FewbitError DATA_MISSING, DATA_FORMAT, or what the format throws.
 */
export async function openDataset(
  spec: string,
  inputs: readonly ModelInput[],
  options: DataOptions = {},
): Promise<Dataset> {
  return (await dataSource(spec, options)).open(inputs)
}

/** The same without a model. */
export async function dataSource(spec: string, options: DataOptions = {}): Promise<DataSource> {
  if (spec === 'random') return randomSource(options)
  const info = await stat(spec).catch(() => undefined)
  if (!info)
    throw problem('DATA_MISSING', 'there is no such file or folder', { at: { file: spec }, fix: 'check the path' })
  if (info.isDirectory()) return (await holdsNpz(spec)) ? npzFolder(spec, options) : imageFolder(spec, options)
  const opener = BY_SUFFIX.find(([suffix]) => suffix.test(spec))?.[1]
  if (opener) return opener(spec, options)
  throw problem('DATA_FORMAT', 'data of this kind is not read', {
    at: { file: spec },
    fix: 'give a folder of images or .npz files, or a .npz, .npy, .tar or .tar.gz file',
  })
}

const holdsNpz = async (folder: string): Promise<boolean> =>
  (await readdir(folder)).some((name) => name.endsWith('.npz') && !name.startsWith('.'))

function randomSource({ samples, seed, dims }: DataOptions): DataSource {
  return randomData({
    ...(samples !== undefined && { samples }),
    ...(seed !== undefined && { seed }),
    ...(dims !== undefined && { dims }),
  })
}
