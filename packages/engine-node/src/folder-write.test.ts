import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FewbitError } from '@fewbit/core/util'
import { afterAll, describe, expect, it } from 'vitest'
import { checkFolder, writeFolder } from './folder-write.ts'

const root = mkdtempSync(join(tmpdir(), 'fewbit-folder-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const filled = (path: string, files: Readonly<Record<string, string>>) =>
  writeFolder(path, { target: 'any' }, async (folder) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  })

const codeOf = (act: () => void): string => {
  try {
    act()
    return 'no error'
  } catch (error) {
    return (error as FewbitError).code
  }
}

describe('writeFolder', () => {
  it('lists what it wrote, and replaces it as a whole the next time', async () => {
    const out = join(root, 'out')
    expect(await filled(out, { 'net.table': 'abc', 'plan.json': '{}' })).toEqual([
      'net.table',
      'plan.json',
      'artifacts.json',
    ])
    expect(JSON.parse(readFileSync(join(out, 'artifacts.json'), 'utf8'))).toEqual({
      format: 'fewbit-artifacts',
      version: 1,
      target: 'any',
      files: [
        { name: 'net.table', bytes: 3 },
        { name: 'plan.json', bytes: 2 },
      ],
    })
    await filled(out, { 'net.onnx': 'model' })
    expect(readdirSync(out).sort()).toEqual(['artifacts.json', 'net.onnx'])
    expect(readdirSync(root)).toEqual(['out'])
  })

  it('leaves the old folder, and nothing else, when filling fails', async () => {
    const out = join(root, 'kept')
    await filled(out, { a: '1' })
    const failing = writeFolder(out, {}, async (folder) => {
      writeFileSync(join(folder, 'half'), 'x')
      throw new Error('stop')
    })
    await expect(failing).rejects.toThrow('stop')
    expect(readdirSync(out).sort()).toEqual(['a', 'artifacts.json'])
    expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual([])
  })

  it('refuses what fewbit did not write', async () => {
    const mixed = join(root, 'mixed')
    await filled(mixed, { a: '1' })
    writeFileSync(join(mixed, 'notes.txt'), 'mine')
    expect(codeOf(() => checkFolder(mixed))).toBe('FOLDER_FOREIGN')
    await expect(filled(mixed, { a: '2' })).rejects.toThrow(/notes\.txt/)
    expect(readFileSync(join(mixed, 'a'), 'utf8')).toBe('1')
    mkdirSync(join(root, 'empty'))
    expect(codeOf(() => checkFolder(join(root, 'empty')))).toBe('no error')
    expect(codeOf(() => checkFolder(join(mixed, 'a')))).toBe('FILE_KIND')
    expect(codeOf(() => checkFolder(join(root, 'no', 'folder')))).toBe('FILE_MISSING')
    expect(existsSync(join(root, 'no'))).toBe(false)
  })
})
