import { basename, join } from 'node:path'
import {
  bindArrays,
  type DataSource,
  type Dataset,
  type ModelInput,
  type Preprocess,
  type Sample,
} from '@fewbit/core/engine'
import type { Tensor } from '@fewbit/core/ir'
import { must, problem } from '@fewbit/core/util'
import { answerOf } from './array-dataset.ts'
import { rowReader } from './array-input.ts'
import { atMost, type DataOptions, spread } from './data-options.ts'
import { filesBelow } from './folder-walk.ts'
import { readNpz } from './npz.ts'

/** A folder of .npz files, each one sample: arrays by input name, with or without the batch axis. */
export function npzFolder(path: string, options: DataOptions = {}): DataSource {
  return { name: path, open: (inputs, samples) => openFolder(path, inputs, atMost(options, samples)) }
}

async function openFolder(path: string, inputs: readonly ModelInput[], options: DataOptions): Promise<Dataset> {
  const all = (await filesBelow(path)).filter((name) => name.endsWith('.npz'))
  if (all.length === 0) throw problem('DATA_EMPTY', 'the folder holds no .npz files', { at: { file: path } })
  const files = spread(all.length, options.samples).map((i) => must(all[i], 'file'))
  // Known once a file has been read: only 8-bit pictures are preprocessed.
  let preprocess: Preprocess | undefined
  return {
    name: path,
    length: files.length,
    async *samples(): AsyncGenerator<Sample> {
      for (const file of files) {
        const read = await readSample(join(path, file), file, inputs, options)
        preprocess ??= read.preprocess
        yield read.sample
      }
    },
    toJSON: () => ({
      kind: 'npz-folder',
      name: basename(path),
      samples: files.length,
      ...(preprocess && { preprocess }),
    }),
  }
}

async function readSample(
  path: string,
  id: string,
  inputs: readonly ModelInput[],
  options: DataOptions,
): Promise<{ readonly sample: Sample; readonly preprocess: Preprocess | undefined }> {
  const arrays = await readNpz(path)
  const binding = bindArrays([...arrays.keys()], inputs, path)
  const feeds: Record<string, Tensor> = {}
  let preprocess: Preprocess | undefined
  for (const input of inputs) {
    const array = withBatchAxis(must(arrays.get(must(binding.arrays.get(input.name), 'bound array')), 'array'), input)
    const reader = rowReader(array.dtype, array.dims, input, options)
    preprocess ??= reader.picture?.preprocess
    feeds[input.name] = await reader.read(array)
  }
  const labels = binding.labels === undefined ? undefined : arrays.get(binding.labels)
  return { sample: { id, feeds, ...(labels && answerOf(labels)) }, preprocess }
}

function withBatchAxis(array: Tensor, input: ModelInput): Tensor {
  return input.shape && array.dims.length === input.shape.length - 1 ? array.reshape([1, ...array.dims]) : array
}
