import { saveModel } from 'fewbit'
import { expect, it } from 'vitest'
import { Folder, fewbit } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, labels, npz } from './numpy.ts'

const work = new Folder()

it('a number of samples is spread over the data, which are often sorted by class', async () => {
  const model = work.at('small.onnx')
  await saveModel(smallCnn(), model)
  const x = floats([8, 3, 8, 8], (i) => Math.sin(i % (3 * 8 * 8)))
  const scores: number[] = []
  for (let label = 0; label < 4; label++) {
    // Eight times one picture; every second one may have the label that the network gives to it.
    const data = work.put(`${label}.npz`, npz({ x, y: labels(rows(label)) }))
    const { out } = await fewbit('evaluate', model, '--data', data, '--samples', '4', '--json')
    scores.push(JSON.parse(out).metrics.top1)
  }
  expect(scores.sort((a, b) => a - b)).toEqual([0, 0, 0, 100])
})

const rows = (label: number): number[] => Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? label : (label + 1) % 4))
