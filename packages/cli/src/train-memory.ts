import { existsSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import type { TrainMemory } from '@fewbit/core/pipeline'
import { fileProblem, writeAtomically } from '@fewbit/engine-node'

/** `out/tuned.onnx` → `out/tuned.train.safetensors`; of a folder, the name beside it. */
export const checkpointPath = (output: string): string => join(dirname(output), `${stem(output)}.train.safetensors`)

/** `out/q.onnx` → `out/q.qfloat.onnx`. */
export const qfloatPath = (output: string): string => join(dirname(output), `${stem(output)}.qfloat.onnx`)

const stem = (output: string): string => basename(output, extname(output) === '.onnx' ? '.onnx' : '')

/** A checkpoint file that is replaced as a whole each time. */
export function checkpointFile(path: string): TrainMemory & { remove(): void; exists(): boolean } {
  return {
    name: path,
    exists: () => existsSync(path),
    async load() {
      if (!existsSync(path)) return undefined
      try {
        return readFileSync(path)
      } catch (error) {
        throw fileProblem(error, path, 'read')
      }
    },
    save: async (bytes) => writeAtomically(path, (sink) => sink.write(bytes)),
    remove: () => rmSync(path, { force: true }),
  }
}
