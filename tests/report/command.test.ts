import { readFileSync } from 'node:fs'
import { type AnalysisReport, analysisJson } from '@fewbit/core/analysis'
import { saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { readEmbedded } from '../../packages/report/src/embed.ts'
import { Folder, fewbit } from '../e2e/harness.ts'
import { smallCnn } from '../e2e/networks.ts'
import { floats, labels, npz } from '../e2e/numpy.ts'

describe('fewbit analyze --html', () => {
  const work = new Folder()
  const model = work.at('small.onnx')
  const int8 = work.at('small.int8.onnx')
  const calib = work.at('calib.npz')
  const test = work.at('test.npz')
  const page = work.at('report.html')

  beforeAll(async () => {
    await saveModel(smallCnn(), model)
    work.put('calib.npz', npz({ x: floats([16, 3, 8, 8], (i) => Math.sin(i * i)) }))
    const y = labels(Array.from({ length: 12 }, (_, i) => i % 4))
    work.put('test.npz', npz({ x: floats([12, 3, 8, 8], (i) => Math.cos(i * i)), y }))
    await fewbit('quantize', model, '--data', calib, '-o', int8)
  })

  it('writes the same document that --json prints', async () => {
    const data = ['--data', calib, '--eval-data', test, '--samples', '4']
    const { code, out } = await fewbit('analyze', model, int8, ...data, '--layerwise', '--html', page, '--json')
    expect(code).toBe(0)
    const html = readFileSync(page, 'utf8')
    const json = html.match(/<script type="application\/json" id="analysis">(.*?)<\/script>/s)?.[1] ?? ''
    const embedded = readEmbedded(json) as AnalysisReport
    expect(JSON.parse(analysisJson(embedded))).toEqual(JSON.parse(out))
    expect(embedded.layers.some(({ isolated }) => isolated)).toBe(true)
    expect(embedded.task?.samples).toBe(12)
  })

  it('says where the page went, and fetches nothing: no element of it has an address', async () => {
    const { out } = await fewbit('analyze', model, int8, '--data', calib, '--samples', '2', '--html', page)
    expect(out.trimEnd()).toMatch(/\nwrote .*report\.html$/)
    const markup = readFileSync(page, 'utf8').replace(/<(script|style)[^>]*>.*?<\/\1>/gs, '')
    expect(markup).not.toMatch(/\b(src|href)=/)
  })

  it('writes over no model, and finds a folder that is not there before the work', async () => {
    const before = readFileSync(int8)
    const over = await fewbit('analyze', model, int8, '--data', calib, '--html', int8)
    expect([over.code, over.err]).toEqual([2, expect.stringMatching(/OUTPUT_IS_INPUT.*option html/s)])
    expect(readFileSync(int8).equals(before)).toBe(true)
    const nowhere = await fewbit('analyze', model, int8, '--data', calib, '--html', work.at('no/such/folder/r.html'))
    expect(nowhere.code).toBe(1)
    expect(nowhere.err).toMatch(/FILE_/)
  })
})
