import { evaluate, inspect, loadModel, npzDataset, quantize, saveModel } from 'fewbit'
import { describe, expect, it } from 'vitest'
import { Folder } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
work.put('calib.npz', npz({ x: floats([16, 3, 8, 8], (i) => Math.sin(i * i)) }))
const data = npzDataset(work.at('calib.npz'))

// Opsets from onnx.ai: QuantizeLinear takes 4 and 16 bits, and blocks, from 21 on.
describe.each([
  ['w8a8', 13],
  ['w8a16', 21],
  ['w4a8', 21],
  ['w8', 13],
])('scheme %s', (scheme, opset) => {
  it(`is written at opset ${opset} or later, and runs`, async () => {
    const float = smallCnn()
    const { model } = await quantize(float, { scheme, calibration: { data, observer: 'minmax' } })
    expect(model.opset()).toBe(Math.max(opset, float.opset()))
    await saveModel(model, work.at(`${scheme}.onnx`))
    const read = await loadModel(work.at(`${scheme}.onnx`))
    expect((await inspect(read)).quantizers).toBeGreaterThan(0)
    const { metrics } = await evaluate(read, { data, against: float, metrics: ['sqnr'] })
    // Loose: a wrong axis, type or block layout leaves nothing, while rounding takes 6 dB a bit.
    expect(metrics.sqnr).toBeGreaterThan(scheme.startsWith('w4') ? 8 : 25)
  })
})
