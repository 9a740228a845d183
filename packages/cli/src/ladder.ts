import { existsSync, readFileSync } from 'node:fs'
import { type ClimbOptions, type LadderMemory, parseMaxDrop, type QuantizeOptions } from '@fewbit/core/pipeline'
import { encodeUtf8 } from '@fewbit/core/util'
import { writeAtomically } from '@fewbit/engine-node'
import { beside } from './artifacts.ts'

interface LadderFlags {
  readonly output: string
  readonly maxDrop?: string
  readonly metric?: string[]
}

/** Options of a climb, whose measurements are kept beside the output so that an interrupted run goes on where it was. */
export function climbing(
  { resume: _, ...options }: QuantizeOptions,
  { output, maxDrop = '', metric }: LadderFlags,
): ClimbOptions {
  return {
    ...options,
    maxDrop: parseMaxDrop(maxDrop),
    ...(metric?.[0] ? { metric: metric[0] } : {}),
    memory: ladderFile(beside(output, '.ladder.json')),
  }
}

interface StateFile<T> {
  load(): Promise<unknown>
  save(state: T): Promise<void>
}

/** A file that is replaced as a whole each time. What cannot be read counts as nothing measured. */
export function ladderFile<T = Parameters<LadderMemory['save']>[0]>(path: string): StateFile<T> {
  return {
    async load() {
      if (!existsSync(path)) return undefined
      try {
        return JSON.parse(readFileSync(path, 'utf8'))
      } catch {
        return undefined
      }
    },
    async save(state) {
      const text = encodeUtf8(`${JSON.stringify(state, null, 2)}\n`)
      writeAtomically(path, (sink) => sink.write(text))
    },
  }
}
