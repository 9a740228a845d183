// Bundles the page of packages/report: its script and style as strings of one module, so that writing a report needs no files.
import { build } from 'esbuild'
import type { Plugin } from 'vitest/config'
import { licenses } from './licenses.ts'

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
  const script = `/*!\n${licenses(metafile)}\n*/\n${output('.js')}`
  return `export const SCRIPT = ${JSON.stringify(script)}\nexport const STYLE = ${JSON.stringify(output('.css'))}\n`
}

/** For vitest: the page of the sources as they are now, so that a stale build cannot make a test pass. */
export const reportPagePlugin = (): Plugin => ({
  name: 'report-page',
  enforce: 'pre',
  resolveId: (id) => (id === REPORT_PAGE ? `\0${id}` : undefined),
  load: (id) => (id === `\0${REPORT_PAGE}` ? reportPage() : undefined),
})
