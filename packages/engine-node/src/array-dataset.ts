import { basename } from 'node:path'
import {
  bindArrays,
  type DataSource,
  type Dataset,
  type ModelInput,
  type Pictures,
  type Sample,
} from '@fewbit/core/engine'
import type { Tensor } from '@fewbit/core/ir'
import { isInteger, must, problem } from '@fewbit/core/util'
import { type RowReader, rowReader } from './array-input.ts'
import { atMost, type DataOptions, spread } from './data-options.ts'
import { readNpz } from './npz.ts'
import { npyRows, type RowSource, tensorRows } from './row-source.ts'

/** A .npz file: arrays by input name (or `x` for a single input), samples along axis 0, labels in `y`. */
export function npzDataset(path: string, options: DataOptions = {}): DataSource {
  return {
    name: path,
    open: async (inputs, samples) => {
      const arrays = [...(await readNpz(path))].map(([name, tensor]) => [name, tensorRows(tensor)] as const)
      return arrayDataset(path, 'npz', new Map(arrays), inputs, atMost(options, samples))
    },
  }
}

/** A .npy file with samples along axis 0, read row by row. */
export function npyDataset(path: string, options: DataOptions = {}): DataSource {
  return {
    name: path,
    open: async (inputs, samples) =>
      arrayDataset(path, 'npy', new Map([['data', await npyRows(path)]]), inputs, atMost(options, samples)),
  }
}

interface Feed {
  readonly name: string
  readonly source: RowSource
  readonly reader: RowReader
}

async function arrayDataset(
  path: string,
  kind: string,
  arrays: ReadonlyMap<string, RowSource>,
  inputs: readonly ModelInput[],
  options: DataOptions,
): Promise<Dataset> {
  const binding = bindArrays([...arrays.keys()], inputs, path)
  const feeds = inputs.map((input): Feed => {
    const source = must(arrays.get(must(binding.arrays.get(input.name), 'bound array')), 'array')
    return { name: input.name, source, reader: rowReader(source.dtype, source.dims, input, options) }
  })
  const total = sampleCount(path, feeds)
  const labels = binding.labels === undefined ? undefined : arrays.get(binding.labels)
  if (labels && labels.dims[0] !== total) throw labelCount(path, labels.dims[0] ?? 0, total)
  const picked = spread(total, options.samples)
  const preprocess = feeds.find((feed) => feed.reader.picture)?.reader.picture?.preprocess
  const pictures = arrayPictures(picked, feeds, inputs, labels)
  return {
    name: path,
    length: picked.length,
    ...(pictures && { pictures }),
    async *samples(): AsyncGenerator<Sample> {
      for (const i of picked) yield readSample(i, feeds, labels)
    },
    toJSON: () => ({ kind, name: basename(path), samples: picked.length, ...(preprocess && { preprocess }) }),
  }
}

/** Where one array of bytes is all that there is. */
function arrayPictures(
  picked: readonly number[],
  feeds: readonly Feed[],
  inputs: readonly ModelInput[],
  labels: RowSource | undefined,
): Pictures | undefined {
  const [feed, ...more] = feeds
  const reader = feed?.reader.picture
  if (!feed || !reader || more.length > 0) return undefined
  return {
    input: must(inputs[0], 'input'),
    preprocess: reader.preprocess,
    async *read() {
      for (const i of picked) {
        const pixels = await reader.pixels(await feed.source.row(i))
        yield { id: rowName(i), pixels, ...(labels && answerOf(await labels.row(i))) }
      }
    },
  }
}

const rowName = (i: number): string => `row ${i}`

async function readSample(i: number, feeds: readonly Feed[], labels: RowSource | undefined): Promise<Sample> {
  const tensors = await Promise.all(
    feeds.map(async (f) => [f.name, await f.reader.read(await f.source.row(i))] as const),
  )
  return { id: rowName(i), feeds: Object.fromEntries(tensors), ...(labels && answerOf(await labels.row(i))) }
}

/** A whole number is a class. More than one element, or an array of floats, is a target of another kind. */
export function answerOf(row: Tensor): Pick<Sample, 'label' | 'target'> {
  const number = row.size === 1 ? row.integers()[0] : undefined
  return {
    ...(Number.isInteger(number) ? { label: number as number } : {}),
    ...(number !== undefined && isInteger(row.dtype) ? {} : { target: row }),
  }
}

function sampleCount(path: string, feeds: readonly Feed[]): number {
  const counts = feeds.map(({ source }) => source.dims[0] ?? 0)
  const total = counts[0] ?? 0
  if (counts.some((count) => count !== total)) {
    const listed = feeds.map(({ name, source }) => `${name} ${source.dims[0] ?? 0}`).join(', ')
    throw problem('DATA_SHAPE', `the arrays hold different numbers of samples: ${listed}`, {
      at: { file: path },
      fix: 'give every array the same first axis; for one sample per file put .npz files into a folder',
    })
  }
  if (total === 0)
    throw problem('DATA_EMPTY', 'the file holds no samples', { at: { file: path }, fix: 'save at least one row' })
  return total
}

function labelCount(path: string, labels: number, total: number): Error {
  return problem('DATA_LABELS', `there are ${labels} labels for ${total} samples`, {
    at: { file: path },
    fix: 'save one label for each sample, in the same order',
  })
}
