import { randomUUID } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ByteSink } from '@fewbit/core/onnx'
import { problem } from '@fewbit/core/util'
import { fileProblem } from './file-problem.ts'

export interface FileSink extends ByteSink {
  /** Waits until the disk has the bytes, and closes the file. */
  close(): void
}

/** Writes a new file. @throws FewbitError FILE_* also if the file exists. */
export function fileSink(path: string): FileSink {
  const descriptor = attempt(path, () =>
    openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666),
  )
  return {
    write: (chunk) => attempt(path, () => writeFully(descriptor, chunk)),
    close: () => attempt(path, () => closeSynced(descriptor)),
  }
}

/**
 * Writes a file so that a reader sees the old one or the whole new one: into a temporary file of the same folder, which
 * then takes the name. After a failure the old file stands and nothing is left behind.
 * @throws FewbitError FILE_DISK_FULL, FILE_DENIED and the like; whatever `write` throws.
 */
export function writeAtomically(path: string, write: (sink: ByteSink) => void): void {
  const target = linkTarget(path)
  const temporary = join(dirname(target), `.${basename(target).slice(0, 100)}.${randomUUID().slice(0, 8)}.tmp`)
  try {
    const sink = fileSink(temporary)
    try {
      write(sink)
    } finally {
      sink.close()
    }
    renameSync(temporary, target)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw fileProblem(error, path, 'write')
  }
}

/**
 * Finds out before hours of work whether their result can be written. Nothing is created.
 * @throws FewbitError FILE_MISSING without the folder, FILE_KIND for a folder or device, FILE_DENIED.
 */
export function checkWritable(path: string): void {
  const folder = dirname(linkTarget(path))
  if (!existsSync(folder)) {
    throw problem('FILE_MISSING', `cannot write the file: there is no folder "${folder}"`, {
      at: { file: path },
      fix: 'create the folder first, or choose another path',
    })
  }
  attempt(path, () => {
    accessSync(folder, constants.W_OK)
    if (existsSync(path)) accessSync(path, constants.W_OK)
  })
}

/** A link to a file stays a link; a device or folder is never replaced by a file. */
function linkTarget(path: string): string {
  if (!existsSync(path)) return path
  const target = realpathSync(path)
  if (statSync(target).isFile()) return target
  const kind = statSync(target).isDirectory() ? 'a folder' : 'a device'
  throw problem('FILE_KIND', `cannot write the file: this is ${kind}`, {
    at: { file: path },
    fix: 'name a file, such as model.int8.onnx',
  })
}

function writeFully(descriptor: number, chunk: Uint8Array): void {
  let done = 0
  while (done < chunk.byteLength) done += writeSync(descriptor, chunk, done, chunk.byteLength - done)
}

function closeSynced(descriptor: number): void {
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw fileProblem(error, path, 'write')
  }
}
