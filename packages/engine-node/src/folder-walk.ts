import { readdir, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { problem } from '@fewbit/core/util'

/**
 * Files below a folder as sorted paths relative to it, with `/`. Links are followed only inside the folder.
 * @throws FewbitError DATA_LINK for a link that leaves the folder.
 */
export async function filesBelow(root: string): Promise<string[]> {
  const base = await realpath(root)
  const found: string[] = []
  await walk(base, base, found, new Set([base]))
  return found.sort()
}

async function walk(base: string, folder: string, found: string[], seen: Set<string>): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue
    const path = join(folder, entry.name)
    const info = entry.isSymbolicLink() ? await insideLink(base, path) : entry
    if (info.isFile()) found.push(relative(base, path).split(sep).join('/'))
    else if (info.isDirectory() && !seen.has(await realpath(path))) {
      seen.add(await realpath(path))
      await walk(base, path, found, seen)
    }
  }
}

async function insideLink(base: string, path: string): Promise<{ isFile(): boolean; isDirectory(): boolean }> {
  await insidePath(base, path)
  return stat(path)
}

/**
 * The real path of a file that must lie in `base`.
 * @throws FewbitError DATA_LINK if it lies elsewhere, DATA_MISSING if it does not exist.
 */
export async function insidePath(base: string, path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) throw problem('DATA_MISSING', 'the file does not exist', { at: { file: path } })
  const root = await realpath(base)
  if (real === root || real.startsWith(root + sep)) return real
  throw problem('DATA_LINK', 'the path leaves the data folder', {
    at: { file: path },
    fix: 'copy the file into the folder, or give the folder that holds it',
  })
}
