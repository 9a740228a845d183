// Bundles packages/core: its entry points, and chunks for what they share. Node finds, opens and links every module anew when
// a program starts, and of more than a thousand modules this took most of a second.
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'
import { licenses } from './licenses.ts'

const SOURCES = 'packages/core/src'
const OUT = 'packages/core/dist'

/** Writes JavaScript beside the declarations that `tsc -b` writes. */
export async function writeCoreBundle(): Promise<void> {
  // Names of chunks change with their content.
  rmSync(`${OUT}/chunks`, { recursive: true, force: true })
  const { metafile } = await build({
    entryPoints: entryPoints(),
    outdir: OUT,
    outbase: SOURCES,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    // `neutral` has none of its own; packages that know modules only by this field are common.
    mainFields: ['module', 'main'],
    target: 'es2022',
    charset: 'utf8',
    sourcemap: 'linked',
    metafile: true,
  })
  writeFileSync(`${OUT}/THIRD-PARTY.txt`, `${licenses(metafile)}\n`)
}

/** As in `exports` of the package: one for all, one for each layer. */
const entryPoints = (): string[] =>
  [SOURCES, ...readdirSync(SOURCES).map((name) => `${SOURCES}/${name}`)]
    .map((folder) => `${folder}/index.ts`)
    .filter((file) => existsSync(file))
