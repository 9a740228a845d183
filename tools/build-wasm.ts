import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isCurrent, WASM_FILE, wasmFile } from './wasm-binary.ts'

if (!isCurrent()) {
  mkdirSync(dirname(WASM_FILE), { recursive: true })
  writeFileSync(WASM_FILE, await wasmFile())
}
