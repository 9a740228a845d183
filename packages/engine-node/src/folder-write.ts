import { randomUUID } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { problem } from '@fewbit/core/util'
import { fileProblem } from './file-problem.ts'

/** Says which files of a folder are fewbit's own, so that they may be replaced. */
const MANIFEST = 'artifacts.json'

interface Manifest {
  readonly format: 'fewbit-artifacts'
  readonly version: 1
  readonly files: readonly { readonly name: string; readonly bytes: number }[]
}

/**
 * Finds out before the work whether a folder can be written.
 * @throws FewbitError FILE_MISSING without the folder around it; FILE_KIND for a file; FILE_DENIED; FOLDER_FOREIGN for a folder that holds
 * anything that fewbit did not write.
 */
export function checkFolder(path: string): void {
  const target = resolve(path)
  const around = dirname(target)
  if (!existsSync(around)) {
    throw problem('FILE_MISSING', `cannot write the folder: there is no folder "${around}"`, {
      at: { file: path },
      fix: 'create it first, or choose another path',
    })
  }
  attempt(path, () => accessSync(around, constants.W_OK))
  if (!existsSync(target)) return
  if (!statSync(target).isDirectory()) {
    throw problem('FILE_KIND', 'cannot write the folder: this is a file', {
      at: { file: path },
      fix: 'choose another path',
    })
  }
  refuseForeign(path, target)
}

function refuseForeign(path: string, target: string): void {
  const own = new Set([MANIFEST, ...manifestFiles(join(target, MANIFEST))])
  const foreign = attempt(path, () => readdirSync(target)).filter((name) => !own.has(name))
  if (foreign.length === 0) return
  throw problem(
    'FOLDER_FOREIGN',
    `the folder holds files that fewbit did not write: ${foreign.slice(0, 3).join(', ')}`,
    {
      at: { file: path },
      fix: 'choose a new or an empty folder; only artefacts of an earlier run are replaced',
    },
  )
}

function manifestFiles(path: string): string[] {
  try {
    const { format, files } = JSON.parse(readFileSync(path, 'utf8')) as Manifest
    return format === 'fewbit-artifacts' ? files.map(({ name }) => name) : []
  } catch {
    return []
  }
}

/**
 * Fills a folder so that readers see the old one or the whole new one: a temporary folder beside it takes its name in the end, with a list
 * of its files in `artifacts.json`. After a failure the old folder stands and nothing is left behind.
 * @param about goes into the list: target, exporters.
 * @returns the names of the files.
 * @throws FewbitError what `checkFolder` throws, FILE_DISK_FULL and the like; whatever `fill` throws.
 */
export async function writeFolder(
  path: string,
  about: Readonly<Record<string, unknown>>,
  fill: (folder: string) => Promise<void>,
): Promise<string[]> {
  checkFolder(path)
  const target = existsSync(path) ? realpathSync(path) : resolve(path)
  const beside = (kind: string) =>
    join(dirname(target), `.${basename(target).slice(0, 100)}.${randomUUID().slice(0, 8)}.${kind}`)
  const temporary = beside('tmp')
  try {
    attempt(path, () => mkdirSync(temporary))
    await fill(temporary)
    const names = attempt(path, () => listFiles(temporary, about))
    attempt(path, () => replaceFolder(target, temporary, beside('old')))
    return names
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

function listFiles(folder: string, about: Readonly<Record<string, unknown>>): string[] {
  const names = readdirSync(folder).sort()
  const files = names.map((name) => ({ name, bytes: statSync(join(folder, name)).size }))
  const manifest: Manifest = { format: 'fewbit-artifacts', version: 1, ...about, files }
  writeFileSync(join(folder, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`)
  return [...names, MANIFEST]
}

/** Two renames: a folder that is not empty cannot be replaced by one. */
function replaceFolder(target: string, temporary: string, old: string): void {
  const isThere = existsSync(target)
  if (isThere) renameSync(target, old)
  try {
    renameSync(temporary, target)
  } catch (error) {
    if (isThere) renameSync(old, target)
    throw error
  }
  rmSync(old, { recursive: true, force: true })
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw fileProblem(error, path, 'write')
  }
}
