import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { WASM_FILE, wasmFile } from '../../tools/wasm-binary.ts'

it('the kernels in WebAssembly are those of their source', async () => {
  expect(readFileSync(WASM_FILE, 'utf8')).toBe(await wasmFile())
}, 60_000)
