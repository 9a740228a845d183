// Bundles the page of packages/report: its script and style as strings of one module, so that writing a report needs no files.
import { readdirSync, readFileSync } from 'node:fs'
import { build, type Metafile } from 'esbuild'
import type { Plugin } from 'vitest/config'

export const REPORT_PAGE = '@fewbit/report/page'

/** The text of the module `@fewbit/report/page`. */
export async function reportPage(): Promise<string> {
  const { outputFiles, metafile } = await build({
    entryPoints: ['packages/report/src/page/index.ts'],
    bundle: true,
    minify: true,
    metafile: true,
    write: false,
    charset: 'utf8',
    target: 'es2022',
    // Its paths lead to sources, which may be newer than what was built.
    tsconfig: 'tsconfig.tools.json',
    outdir: 'out',
  })
  const output = (extension: string): string => outputFiles.find((file) => file.path.endsWith(extension))?.text ?? ''
  const script = `/*!\n${licenses(usedFiles(metafile))}\n*/\n${output('.js')}`
  return `export const SCRIPT = ${JSON.stringify(script)}\nexport const STYLE = ${JSON.stringify(output('.css'))}\n`
}

/** Files of which something is left in the bundle. */
const usedFiles = ({ outputs }: Metafile): string[] =>
  Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  )

/** Licences of the packages that files were taken from: they must be in every copy. */
function licenses(files: readonly string[]): string {
  const packages = new Set(files.flatMap((file) => file.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []))
  return [...packages].map(license).join('\n\n')
}

function license(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
  const text = file === undefined ? '' : readFileSync(`${folder}/${file}`, 'utf8').trim()
  return `${folder.replace('node_modules/', '')}: ${text.replaceAll('*/', '* /')}`
}

/** For vitest: the page of the sources as they are now, so that a stale build cannot make a test pass. */
export const reportPagePlugin = (): Plugin => ({
  name: 'report-page',
  enforce: 'pre',
  resolveId: (id) => (id === REPORT_PAGE ? `\0${id}` : undefined),
  load: (id) => (id === `\0${REPORT_PAGE}` ? reportPage() : undefined),
})
