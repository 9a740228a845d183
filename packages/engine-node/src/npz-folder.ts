import { basename, join } from 'node:path'
import { bindArrays, type DataSource, type Dataset, type ModelInput, type Sample } from '@fewbit/core/engine'
import type { Tensor } from '@fewbit/core/ir'
import { must, problem } from '@fewbit/core/util'
import { classIndex } from './array-dataset.ts'
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
  return {
    name: path,
    length: files.length,
    async *samples(): AsyncGenerator<Sample> {
      for (const file of files) yield readSample(join(path, file), file, inputs, options)
    },
    toJSON: () => ({ kind: 'npz-folder', name: basename(path), samples: files.length }),
  }
}

async function readSample(
  path: string,
  id: string,
  inputs: readonly ModelInput[],
  options: DataOptions,
): Promise<Sample> {
  const arrays = await readNpz(path)
  const binding = bindArrays([...arrays.keys()], inputs, path)
  const feeds: Record<string, Tensor> = {}
  for (const input of inputs) {
    const array = withBatchAxis(must(arrays.get(must(binding.arrays.get(input.name), 'bound array')), 'array'), input)
    feeds[input.name] = await rowReader(array.dtype, array.dims, input, options).read(array)
  }
  const labels = binding.labels === undefined ? undefined : arrays.get(binding.labels)
  const label = labels && classIndex(labels)
  return label === undefined ? { id, feeds } : { id, feeds, label }
}

function withBatchAxis(array: Tensor, input: ModelInput): Tensor {
  return input.shape && array.dims.length === input.shape.length - 1 ? array.reshape([1, ...array.dims]) : array
}
