import { readFileSync } from 'node:fs'
import { saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, fewbit } from './harness.ts'
import { smallCnn } from './networks.ts'

describe('quantize --data distilled', () => {
  const work = new Folder()
  const model = work.at('small.onnx')

  beforeAll(() => saveModel(smallCnn(), model))

  it('calibrates on what the network remembers, says so, and does the same again from the recipe', async () => {
    const [first, again] = [work.at('first.onnx'), work.at('again.onnx')]
    const flags = [
      '--data',
      'distilled',
      '--samples',
      '4',
      '--input-range',
      '-1,2',
      '--seed',
      '3',
      '--observer',
      'minmax',
    ]
    const { code, out } = await fewbit('quantize', model, ...flags, '--json', '-o', first)
    expect(code).toBe(0)
    const { recipe, report } = JSON.parse(out)
    expect(recipe.data).toMatchObject({ kind: 'distilled', samples: 4, seed: 3, inputRange: [-1, 2] })
    expect(report.calibration).toMatchObject({ synthetic: true, data: 'distilled' })
    const replay = await fewbit('quantize', model, '--recipe', first, '--data', 'distilled', '-o', again)
    expect(replay.code).toBe(0)
    expect(replay.out).toContain('the data are generated (distilled)')
    expect(readFileSync(again).equals(readFileSync(first))).toBe(true)
  })
})
