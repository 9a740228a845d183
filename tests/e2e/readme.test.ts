import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isBuilt, outcomeOf, ROOT, shell } from './harness.ts'

interface Block {
  readonly language: string
  readonly text: string
}

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const blocks: Block[] = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
  language,
  text,
}))

/** What the reader was shown after a block, if anything. */
const shownAfter = (block: Block): string => {
  const next = blocks[blocks.indexOf(block) + 1]
  return next?.language === 'output' ? next.text : ''
}

/** Words of a line, without figures, which differ from machine to machine. */
const words = (line: string): string =>
  line
    .replace(/[\d.,]+( ?([µm]?s|[kM]?B|dB|%|×))?/g, ' ')
    .replace(/observer \w+|block\d?\.\w+|\brelu\d|Relu/gi, ' ')
    .replace(/[()–×]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()

/** What a clock decides, and no other machine need say. */
const TIMED = /^quantized runs slower than float here/

// Inside the repository, where `import 'fewbit'` finds the package as it does for a reader with a clone.
mkdirSync(join(ROOT, '.cache'), { recursive: true })
const work = mkdtempSync(join(ROOT, '.cache/readme-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.skipIf(!isBuilt)('the blocks of the README', () => {
  const sh = blocks.filter((block) => block.language === 'sh')
  const [demo, ...others] = sh

  beforeAll(async () => {
    expect(demo?.text).toBe('npx fewbit demo -o demo\n')
    await run(demo as Block)
  }, 60_000)

  it('are all run', () => {
    expect(blocks.map((block) => block.language).filter((l) => !['sh', 'ts', 'output'].includes(l))).toEqual([''])
    expect(blocks.filter((block) => block.language === 'ts')).toHaveLength(1)
    expect(others.length).toBeGreaterThanOrEqual(7)
  })

  it.concurrent('in a shell, one after the other, and print what is shown', async () => {
    for (const block of others) await run(block)
    expect(existsSync(join(work, 'int8.onnx'))).toBe(true)
  }, 240_000)

  it.concurrent('in the library', async () => {
    const code = blocks.find((block) => block.language === 'ts')?.text ?? ''
    writeFileSync(join(work, 'quantize.mjs'), code)
    const { code: status, out, err } = await outcomeOf(spawn(process.execPath, ['quantize.mjs'], { cwd: work }))
    expect(err).toBe('')
    expect(status).toBe(0)
    expect(out).toMatch(/^\d+ bytes became \d+$/m)
    expect(out).toContain('classifier: the override name=classifier:float keeps it in float')
    expect(Number(/top1: ([\d.]+)/.exec(out)?.[1])).toBeGreaterThan(90)
    expect(existsSync(join(work, 'library.int8.onnx'))).toBe(true)
  })

  async function run(block: Block): Promise<void> {
    const { code, out, err } = await shell(block.text.replace(/\bnpx fewbit\b/g, 'fewbit'), work)
    expect(code, err).toBe(0)
    const printed = new Set(out.split('\n').map(words))
    const shown = shownAfter(block)
      .split('\n')
      .filter((line) => !TIMED.test(line))
    for (const line of shown) expect(printed, line).toContain(words(line))
  }
})
