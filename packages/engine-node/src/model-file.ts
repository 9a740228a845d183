import { basename } from 'node:path'
import { type Model, modelToOnnx, readModel } from '@fewbit/core/ir'
import { encodedSize, encodeModel, MAX_MODEL_BYTES } from '@fewbit/core/onnx'
import { writeAtomically } from './atomic-write.ts'
import { inFile } from './file-problem.ts'
import { fileSource, openExternalFrom } from './files.ts'

/**
 * Opens an ONNX file. Weights stay on disk until they are looked at.
 * @throws FewbitError FILE_* if it cannot be read, ONNX_* if it is not a sound model.
 */
export async function loadModel(path: string): Promise<Model> {
  try {
    return readModel(fileSource(path), { file: path, openExternal: openExternalFrom(path) })
  } catch (error) {
    throw inFile(error, path)
  }
}

export interface SaveOptions {
  /**
   * True puts large weights into `<file>.data` beside the model. Default: only where the model would exceed 2 GiB, which no
   * protobuf reader takes.
   */
  readonly externalData?: boolean
}

/**
 * Writes an ONNX file, whole or not at all: readers see the old file or the new one.
 * @throws FewbitError FILE_DISK_FULL, FILE_DENIED and the like; ONNX_TOO_LARGE if `externalData: false` cannot be done.
 */
export async function saveModel(model: Model, path: string, options: SaveOptions = {}): Promise<void> {
  const proto = modelToOnnx(model)
  const apart = options.externalData ?? encodedSize(proto) > MAX_MODEL_BYTES
  if (!apart) return writeAtomically(path, (sink) => encodeModel(proto, sink))
  // Both temporary files are complete before either takes its name.
  writeAtomically(`${path}.data`, (data) => {
    writeAtomically(path, (sink) =>
      encodeModel(proto, sink, { externalData: { location: `${basename(path)}.data`, sink: data } }),
    )
  })
}
