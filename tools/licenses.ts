import { readdirSync, readFileSync } from 'node:fs'
import type { Metafile } from 'esbuild'

/** Licences of the npm packages of which something is left in a bundle: they must be in every copy. */
export function licenses(metafile: Metafile): string {
  const packages = new Set(usedFiles(metafile).flatMap((file) => file.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []))
  return [...packages].sort().map(license).join('\n\n')
}

const usedFiles = ({ outputs }: Metafile): string[] =>
  Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  )

function license(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
  const text = file === undefined ? stated(folder) : readFileSync(`${folder}/${file}`, 'utf8').trim()
  return `${folder.replace('node_modules/', '')}: ${text.replaceAll('*/', '* /')}`
}

/** What stands in `package.json`, for packages that come without the text. */
const stated = (folder: string): string =>
  (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { license?: string }).license ?? ''
