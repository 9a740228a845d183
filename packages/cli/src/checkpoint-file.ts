import { existsSync, readFileSync, rmSync } from 'node:fs'
import type { CheckpointMemory } from '@fewbit/core/pipeline'
import { checkWritable, fileProblem, writeAtomically } from '@fewbit/engine-node'
import { beside } from './artifacts.ts'
import type { Console } from './output.ts'

/** `out/tuned.onnx` → `out/tuned.train.safetensors`. */
export const checkpointPath = (output: string, verb: 'train' | 'quantize'): string =>
  beside(output, `.${verb}.safetensors`)

/** A checkpoint file that is replaced as a whole each time. */
export interface CheckpointFile extends CheckpointMemory {
  /** Whether there is one that this run has read or written. */
  exists(): boolean
  /** Leaves a file that this run had nothing to do with. */
  remove(): void
}

export function checkpointFile(path: string): CheckpointFile {
  let isOurs = false
  return {
    name: path,
    exists: () => isOurs && existsSync(path),
    async load() {
      checkWritable(path)
      isOurs = true
      if (!existsSync(path)) return undefined
      try {
        return readFileSync(path)
      } catch (error) {
        throw fileProblem(error, path, 'read')
      }
    },
    save: async (bytes) => writeAtomically(path, (sink) => sink.write(bytes)),
    remove: () => isOurs && rmSync(path, { force: true }),
  }
}

interface CheckpointUse {
  readonly keep: boolean | undefined
  readonly console: Console
  /** What people do with it. */
  readonly goOn?: string
}

/** Works with a checkpoint, which goes when all is done, unless it is to be kept; when the work fails, people are told of it. */
export async function withCheckpoint<T>(
  file: CheckpointFile,
  { keep, console, goOn = 'with --resume the same command goes on from there' }: CheckpointUse,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const result = await work()
    if (!keep) file.remove()
    return result
  } catch (error) {
    if (file.exists()) {
      console.err.write(`a checkpoint stands in ${file.name}: ${goOn}\n`)
    }
    throw error
  }
}
