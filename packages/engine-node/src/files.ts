import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import type { ByteSource, OpenExternal } from '@fewbit/core/onnx'
import { problem } from '@fewbit/core/util'
import { fileProblem } from './file-problem.ts'

export interface FileSource extends ByteSource {
  /** Ends reading. Left out, the file is closed when the source is garbage. */
  close(): void
}

const OPEN_FILES = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor))

/**
 * A file, read in parts. The file stays open, so that saving over it while tensors still lie in it is safe.
 * @throws FewbitError FILE_* if it cannot be opened or is not a regular file.
 */
export function fileSource(path: string): FileSource {
  const descriptor = openRegular(path)
  const source = {
    size: fstatSync(descriptor).size,
    read: (offset: number, length: number) => readExactly(descriptor, path, offset, length),
    close() {
      OPEN_FILES.unregister(source)
      closeSync(descriptor)
    },
  }
  OPEN_FILES.register(source, descriptor, source)
  return source
}

function openRegular(path: string): number {
  try {
    // Asked first: opening a named pipe would wait for a writer.
    const info = statSync(path)
    if (!info.isFile()) throw notAFile(path, info.isDirectory() ? 'a folder' : 'a device or pipe')
    return openSync(path, 'r')
  } catch (error) {
    throw fileProblem(error, path, 'read')
  }
}

const notAFile = (path: string, kind: string): Error =>
  problem('FILE_KIND', `this is ${kind}, not a file`, { at: { file: path }, fix: 'name the .onnx file' })

function readExactly(descriptor: number, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const count = readSync(descriptor, bytes, done, length - done, offset + done)
    if (count === 0) throw problem('FILE_CHANGED', 'the file became shorter while it was read', { at: { file: path } })
    done += count
  }
  return bytes
}

/**
 * Opens external data of the model at `modelPath`. Links are followed first and must end inside the model's folder;
 * whoever can place links there while we look could as well replace the data.
 * @throws FewbitError ONNX_EXTERNAL_PATH for a file outside the folder, FILE_* if it cannot be read.
 */
export function openExternalFrom(modelPath: string): OpenExternal {
  const opened = new Map<string, FileSource>()
  return (location) => {
    let source = opened.get(location)
    if (!source) {
      source = fileSource(containedPath(modelPath, location))
      opened.set(location, source)
    }
    return source
  }
}

function containedPath(modelPath: string, location: string): string {
  const folder = dirname(resolve(modelPath))
  try {
    const root = realpathSync(folder)
    const target = realpathSync(resolve(folder, location))
    if (target.startsWith(root.endsWith(sep) ? root : root + sep)) return target
  } catch (error) {
    throw externalProblem(error, modelPath, location)
  }
  throw problem('ONNX_EXTERNAL_PATH', `the external data "${location}" lie outside the model's folder`, {
    at: { file: modelPath },
    fix: 'copy the data file into the folder of the model',
  })
}

function externalProblem(error: unknown, modelPath: string, location: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return fileProblem(error, location, 'read')
  const message = `the model keeps weights in "${location}", which is missing`
  const fix = 'copy that file beside the model, under the same name'
  return problem('FILE_MISSING', message, { at: { file: modelPath }, fix }, error)
}
