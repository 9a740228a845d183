import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What would show in other files of the same process, or be spoilt by them. */
const ALONE = [/\bvi\.(mock|doMock|resetModules)\(/, /\bprocess\.(memoryUsage|chdir)\(/]

/** Test files below the folders that need a process of their own, relative to the root. */
export function isolatedTests(root: string, folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) => filesBelow(root, folder))
    .filter((file) => file.endsWith('.test.ts') && isAlone(readFileSync(join(root, file), 'utf8')))
}

const filesBelow = (root: string, folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file))

const isAlone = (text: string): boolean => ALONE.some((pattern) => pattern.test(text))
