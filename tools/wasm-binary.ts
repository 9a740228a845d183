import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
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

const SHARED = ['--enable', 'threads', '--sharedMemory', '--initialMemory', '16', '--maximumMemory', '65536']

/** Where the compiled kernels are kept. */
export const WASM_FILE = 'packages/core/src/integer/interpreter/kernels/generated/kernels-wasm.ts'

const FOLDER = 'packages/core/assembly'
const SOURCE = `${FOLDER}/kernels.ts`

function digest(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(FOLDER).sort()) hash.update(file).update(readFileSync(join(FOLDER, file)))
  return hash.update([...OPTIONS, ...SHARED].join(' ')).digest('hex')
}

/** True where the compiled kernels were made from the source as it is. */
export const isCurrent = (): boolean => existsSync(WASM_FILE) && readFileSync(WASM_FILE, 'utf8').includes(digest())

/** The file with the compiled kernels, which stand in the repository so that sources run without a build. */
export async function wasmFile(): Promise<string> {
  const [own, shared] = [await compiled([]), await compiled(SHARED)]
  return [
    `// Written by \`npm run build:wasm\` from ${FOLDER}, sha256 ${digest()}.`,
    '',
    '/** The kernels in WebAssembly, as base64. */',
    constant('KERNELS_WASM', own),
    '',
    '/** The same for memory that threads share. */',
    constant('SHARED_KERNELS_WASM', shared),
    '',
  ].join('\n')
}

const constant = (name: string, lines: readonly string[]): string =>
  `export const ${name} = [\n${lines.map((line) => `  '${line}',`).join('\n')}\n].join('')`

/** Base64 in lines. */
async function compiled(options: readonly string[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'fewbit-wasm-'))
  try {
    const out = join(folder, 'kernels.wasm')
    // The compiler takes a second to load, and is not needed mostly.
    const { default: asc } = await import('assemblyscript/asc')
    const { error, stderr } = await asc.main([SOURCE, '--outFile', out, ...OPTIONS, ...options])
    if (error) throw new Error(stderr.toString())
    return (
      readFileSync(out)
        .toString('base64')
        .match(/.{1,100}/g) ?? []
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
