import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FewbitError } from '@fewbit/core/util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeAtomically } from './atomic-write.ts'
import { fileProblem } from './file-problem.ts'
import { fileSource, openExternalFrom } from './files.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fewbit-files-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (...parts: string[]) => join(folder, ...parts)
const put = (path: string, text: string) => writeFileSync(path, text)

describe('fileSource', () => {
  test('reads ranges', () => {
    put(at('a'), 'hello world')
    const source = fileSource(at('a'))
    expect(source.size).toBe(11)
    expect(Buffer.from(source.read(6, 5)).toString()).toBe('world')
    source.close()
  })

  test('says so when the file shrinks meanwhile', () => {
    put(at('a'), 'hello world')
    const source = fileSource(at('a'))
    truncateSync(at('a'), 3)
    expect(() => source.read(0, 11)).toThrow('FILE_CHANGED')
    source.close()
  })

  test('refuses folders, devices and missing files', () => {
    expect(() => fileSource(folder)).toThrow('FILE_KIND')
    expect(() => fileSource('/dev/zero')).toThrow('FILE_KIND')
    expect(() => fileSource(at('missing'))).toThrow('FILE_MISSING')
  })
})

describe('openExternalFrom', () => {
  beforeEach(() => {
    mkdirSync(at('model'))
    mkdirSync(at('model', 'weights'))
    put(at('secret'), 'secret')
    put(at('model', 'weights', 'w.bin'), 'weights')
  })
  const open = (location: string) => openExternalFrom(at('model', 'm.onnx'))(location)

  test('opens files of the folder and of links within it', () => {
    symlinkSync(at('model', 'weights', 'w.bin'), at('model', 'link.bin'))
    expect(Buffer.from(open('weights/w.bin').read(0, 7)).toString()).toBe('weights')
    expect(open('link.bin').size).toBe(7)
  })

  test('opens data beside a model that is reached through a linked folder', () => {
    symlinkSync(at('model'), at('alias'))
    expect(openExternalFrom(at('alias', 'm.onnx'))('weights/w.bin').size).toBe(7)
  })

  test('refuses what ends outside, by dots, by a linked file or by a linked folder', () => {
    symlinkSync(at('secret'), at('model', 'link'))
    symlinkSync(folder, at('model', 'up'))
    for (const location of ['../secret', 'link', 'up/secret', at('secret')]) {
      expect(() => open(location), location).toThrow('ONNX_EXTERNAL_PATH')
    }
  })

  test('refuses a neighbour whose name begins like the folder', () => {
    mkdirSync(at('model-other'))
    put(at('model-other', 'w'), 'other')
    expect(() => open('../model-other/w')).toThrow('ONNX_EXTERNAL_PATH')
  })
})

describe('writeAtomically', () => {
  const write = (text: string) => writeAtomically(at('out'), (sink) => sink.write(Buffer.from(text)))

  test('replaces a file that a source is still reading', () => {
    put(at('out'), 'old')
    const source = fileSource(at('out'))
    write('new text')
    expect(readFileSync(at('out'), 'utf8')).toBe('new text')
    expect(Buffer.from(source.read(0, 3)).toString()).toBe('old')
    source.close()
  })

  test('keeps the old file and leaves nothing behind when writing fails', () => {
    put(at('out'), 'old')
    const failing = () =>
      writeAtomically(at('out'), (sink) => {
        sink.write(Buffer.from('half'))
        throw new Error('stopped')
      })
    expect(failing).toThrow('stopped')
    expect(readFileSync(at('out'), 'utf8')).toBe('old')
    expect(readdirSync(folder)).toEqual(['out'])
  })

  test('names the folder that is missing', () => {
    expect(() => writeAtomically(at('no', 'out'), () => {})).toThrow('FILE_MISSING')
  })

  test('never replaces a device or a folder', () => {
    symlinkSync('/dev/null', at('link'))
    for (const path of [at('link'), folder]) expect(() => writeAtomically(path, () => {})).toThrow('FILE_KIND')
    expect(readdirSync(folder)).toEqual(['link'])
  })
})

test.skipIf(!existsSync('/dev/full'))('a full disk is named, with a remedy', () => {
  const descriptor = openSync('/dev/full', 'w')
  try {
    writeSync(descriptor, 'x')
    expect.unreachable()
  } catch (error) {
    const reported = fileProblem(error, 'model.onnx', 'write') as FewbitError
    expect(reported.code).toBe('FILE_DISK_FULL')
    expect(reported.message).toContain('free space')
  } finally {
    closeSync(descriptor)
  }
})
