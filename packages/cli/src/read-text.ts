import { readFileSync } from 'node:fs'
import { fileProblem } from '@fewbit/engine-node'

/** @throws FewbitError FILE_* */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw fileProblem(error, file, 'read')
  }
}

/** The value of a JSON text, or undefined. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
