import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const OPTIONS = [
  '--runtime',
  'stub',
  '--enable',
  'simd',
  '--optimizeLevel',
  '3',
  '--converge',
  '--noAssert',
  '--importMemory',
]

/** Where the compiled kernels are kept. */
export const WASM_FILE = 'packages/core/src/integer/interpreter/kernels/generated/dots-wasm.ts'

const SOURCE = 'packages/core/assembly/dots.ts'

const digest = (): string => createHash('sha256').update(readFileSync(SOURCE)).update(OPTIONS.join(' ')).digest('hex')

/** True where the compiled kernels were made from the source as it is. */
export const isCurrent = (): boolean => existsSync(WASM_FILE) && readFileSync(WASM_FILE, 'utf8').includes(digest())

/** The file with the compiled kernels, which stand in the repository so that sources run without a build. */
export async function wasmFile(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'fewbit-wasm-'))
  try {
    const out = join(folder, 'dots.wasm')
    // The compiler takes a second to load, and is not needed mostly.
    const { default: asc } = await import('assemblyscript/asc')
    const { error, stderr } = await asc.main([SOURCE, '--outFile', out, ...OPTIONS])
    if (error) throw new Error(stderr.toString())
    const text =
      readFileSync(out)
        .toString('base64')
        .match(/.{1,100}/g) ?? []
    const lines = text.map((line) => `  '${line}',`)
    return [
      `// Written by \`npm run build:wasm\` from ${SOURCE}, sha256 ${digest()}.`,
      '',
      '/** The kernels in WebAssembly, as base64. */',
      `export const DOTS_WASM = [\n${lines.join('\n')}\n].join('')`,
      '',
    ].join('\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
