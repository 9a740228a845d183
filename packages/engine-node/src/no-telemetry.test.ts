import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const source = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

describe('telemetry of the engine', () => {
  it('is switched off before every import of the library', () => {
    const files = readdirSync(fileURLToPath(new URL('.', import.meta.url))).filter((f) => /(?<!\.test)\.ts$/.test(f))
    const importers = files.filter((f) => /^import (?!type).*'onnxruntime-node'/m.test(source(f)))
    expect(importers.length).toBeGreaterThan(0)
    for (const file of importers) {
      const text = source(file)
      expect(text.indexOf("import './no-telemetry.ts'"), file).toBeGreaterThanOrEqual(0)
      expect(text.indexOf("import './no-telemetry.ts'"), file).toBeLessThan(text.indexOf("'onnxruntime-node'"))
    }
  })

  it('leaves no trace of itself: the reporter writes files into the temporary folder as soon as it starts', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fewbit-telemetry-'))
    const script = "process.env.ORT_DISABLE_TELEMETRY ??= '1'; require('onnxruntime-node')"
    const { ORT_DISABLE_TELEMETRY: _, CI: __, ...env } = process.env
    execFileSync(process.execPath, ['-e', script], { env: { ...env, TMPDIR: folder } })
    expect(readdirSync(folder)).toEqual([])
    rmSync(folder, { recursive: true })
  })
})
