import { extname } from 'node:path'
import type { Tensor } from '@fewbit/core/ir'
import { problem } from '@fewbit/core/util'
import { type Layout, readSafetensors } from '@fewbit/core/weights'
import { inFile } from './file-problem.ts'
import { fileSource } from './files.ts'
import { loadModel } from './model-file.ts'
import { readNpz } from './npz.ts'

/** Tensors of a file by name, and which way its matrices lie: what `loadWeights` takes. */
export interface WeightsFile {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly layout: Layout
}

/**
 * Reads weights: a state_dict as `.safetensors` (tensors stay on disk until they are looked at) or `.npz`, or the initializers of an ONNX file.
 * A safetensors file whose metadata say `format: onnx` has matrices as ONNX has them; all others as PyTorch has them.
 * @throws FewbitError WEIGHTS_FORMAT for other files, FILE_*, SAFETENSORS_*, DATA_NPZ, ONNX_*
 */
export async function readWeights(path: string): Promise<WeightsFile> {
  const read = READERS[extname(path).toLowerCase()]
  if (!read) throw unknownFormat(path)
  return read(path)
}

const READERS: Readonly<Record<string, (path: string) => Promise<WeightsFile>>> = {
  '.safetensors': async (path) => {
    try {
      const { tensors, metadata } = readSafetensors(fileSource(path))
      return { tensors, layout: metadata.format === 'onnx' ? 'onnx' : 'pytorch' }
    } catch (error) {
      throw inFile(error, path)
    }
  },
  '.npz': async (path) => ({ tensors: await readNpz(path), layout: 'pytorch' }),
  '.onnx': async (path) => {
    const { graph } = await loadModel(path)
    const tensors = [...graph.initializers].flatMap(({ name, constant }): [string, Tensor][] =>
      constant ? [[name, constant]] : [],
    )
    return { tensors: new Map(tensors), layout: 'onnx' }
  },
}

/** PyTorch's own files are Python programs, which is why others cannot read them. */
function unknownFormat(path: string): Error {
  const torch = /\.(pt|pth|bin|ckpt)$/i.test(path)
  return problem('WEIGHTS_FORMAT', 'weights are read from .safetensors, .npz and .onnx files', {
    at: { file: path },
    fix: torch
      ? 'in Python: safetensors.torch.save_file(torch.load(path, map_location="cpu"), "weights.safetensors")'
      : 'save them with the safetensors library, or with numpy.savez',
  })
}
