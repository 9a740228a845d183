import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ACTIVATION, OPERATORS } from '../../packages/core/src/exporters/tflite/schema.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** `AREA_PROBLEM` in quotes is a code wherever it stands; single words are codes only where one is expected. */
const CODE = /'([A-Z]{2,}[A-Z0-9]*_[A-Z0-9_]+)'/g
const WORD = /(?:\bcode: |\breason\(|\bno\()'([A-Z]+)'/g
/** What is asked for by name, with options, has two codes. */
const KIND = /\bnoun: '[^']+', code: '([A-Z_]+)'/g

/** Words of TFLite's schema look the same. */
const TFLITE = new Set([...Object.keys(OPERATORS), ...Object.keys(ACTIVATION)])

function sources(): string[] {
  return readdirSync(join(root, 'packages')).flatMap((name) => {
    const folder = join(root, 'packages', name, 'src')
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    return files.filter((file) => /(?<!\.test)\.ts$/.test(file)).map((file) => join(folder, file))
  })
}

function codesInUse(): string[] {
  const texts = sources().map((file) => readFileSync(file, 'utf8'))
  const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, c]) => c as string)
  const kinds = texts.flatMap((text) => all(text, KIND))
  const found = texts.flatMap((text) =>
    all(text.replaceAll(KIND, ''), CODE).concat(all(text.replaceAll(KIND, ''), WORD)),
  )
  const options = kinds.flatMap((kind) => [`${kind}_UNKNOWN`, `${kind}_OPTION`])
  return [...new Set([...found, ...options])].filter((word) => !TFLITE.has(word)).sort()
}

function documented(): string[] {
  const page = readFileSync(join(root, 'docs/diagnostics.md'), 'utf8')
  const cells = page.split('\n').flatMap((line) => /^\| (`[A-Z].*?) \|/.exec(line)?.[1] ?? [])
  return cells.flatMap((cell) => [...cell.matchAll(/`([A-Z0-9_]+)`/g)].map(([, code]) => code as string)).sort()
}

describe('docs/diagnostics.md', () => {
  it('explains every code that the packages use, once, and no other', () => {
    expect(codesInUse().length).toBeGreaterThan(100)
    expect(documented()).toEqual(codesInUse())
  })
})
