import { existsSync, readFileSync } from 'node:fs'
import { fixture } from '@fewbit/testkit'
import { saveModel } from 'fewbit'
import { describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit } from './harness.ts'

const work = new Folder()
const model = work.at('net.onnx')
await saveModel(fixture('residual'), model)
const examine = (...more: string[]) => fewbit('doctor', model, '--data', 'random', '--samples', '8', ...more)

describe('fewbit doctor', () => {
  it('says what is wrong, what helps, and what that does', async () => {
    const { code, out } = await examine('--target', 'qnn', '--scheme', 'w4a8')
    expect(code).toBe(0)
    expect(out).toContain('quantized for qnn, w4a8: sqnr')
    expect(out).toContain('Weights have too few bits to be rounded to the nearest code (coarse-weights)')
    expect(out).toMatch(/tried alone(, and no gain)?: sqnr \d/)
  })

  it('writes a page with the analysis of the network that was examined, and what was found', async () => {
    const page = work.at('doctor.html')
    const { code, out } = await examine('--target', 'qnn', '--scheme', 'w4a8', '--html', page)
    expect(code).toBe(0)
    expect(out).toContain(`wrote ${page}`)
    const html = readFileSync(page, 'utf8')
    expect(html).toContain('"cause":"coarse-weights"')
    expect(html).toContain('"format":"fewbit-analysis"')
  })

  it('writes the network that the remedies make', async () => {
    const output = work.at('cured.onnx')
    const { code, out } = await examine('--target', 'qnn', '--scheme', 'w4a8', '--apply', '-o', output, '--json')
    expect(code).toBe(0)
    const diagnosis = JSON.parse(out)
    expect(diagnosis.findings.map((f: { cause: string }) => f.cause)).toContain('coarse-weights')
    expect(existsSync(output)).toBe(true)
    expect(diagnosis.cure.after).toBeGreaterThan(diagnosis.cure.before)
  })

  it.each([
    ['--apply without a place to write to', ['--apply'], 'OUTPUT_MISSING'],
    ['a place to write to without --apply', ['-o', work.at('x.onnx')], 'OUTPUT_UNUSED'],
  ])('refuses %s', async (_, flags, code) => {
    await failsCleanly(work, code, 2, ['doctor', model, '--data', 'random', '--samples', '8', ...flags])
  })
})
