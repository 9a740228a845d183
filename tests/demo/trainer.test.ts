import { serializeModel, Tensor } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { crossEntropy } from '../../scripts/make-demo/adam.ts'
import type { Activations, Parameter } from '../../scripts/make-demo/layer.ts'
import { demoNetwork, toModel } from '../../scripts/make-demo/network.ts'

const [CLASSES, SIDE, COUNT] = [8, 32, 4]
const LABELS = [0, 3, 5, 6]

const random = rng(11)
const network = demoNetwork(CLASSES, random)
const x: Activations = {
  count: COUNT,
  side: SIDE,
  channels: 3,
  data: Float64Array.from({ length: COUNT * SIDE * SIDE * 3 }, () => random.next()),
}
const loss = () => crossEntropy(network.forward(x, true).data, LABELS, CLASSES)

/** The loss with a parameter moved along a direction. */
function lossAt({ values }: Parameter, direction: Float64Array, step: number): number {
  const original = values.slice()
  for (let i = 0; i < values.length; i++) values[i]! += step * direction[i]!
  const moved = loss().loss
  values.set(original)
  return moved
}

describe('the trainer of the demo network', () => {
  it('has the gradients of its loss', () => {
    const y = network.forward(x, true)
    network.backward({ ...y, data: loss().gradient })
    const gradients = network.parameters.map((p) => p.gradient.slice())
    network.parameters.forEach((parameter, k) => {
      const direction = parameter.values.map(() => random.normal())
      // Small enough to stay between the kinks of Relu and MaxPool; the difference then has about 8 exact decimals.
      const step = 1e-7
      const measured = (lossAt(parameter, direction, step) - lossAt(parameter, direction, -step)) / (2 * step)
      const expected = gradients[k]!.reduce((sum, g, i) => sum + g * direction[i]!, 0)
      expect(measured, `parameter ${k}`).toBeCloseTo(expected, 5)
    })
  })

  it('exports what it computes', async () => {
    const expected = network.forward(x, false).data
    const planes = new Float32Array(x.data.length)
    const area = SIDE * SIDE
    for (let n = 0; n < COUNT; n++) {
      for (let i = 0; i < area; i++) {
        for (let c = 0; c < 3; c++) planes[(n * 3 + c) * area + i] = x.data[(n * area + i) * 3 + c]!
      }
    }
    const session = await nodeEngine({ threads: 1 }).load(serializeModel(toModel(network, CLASSES, SIDE)))
    const { scores } = await session.run({ picture: Tensor.float32([COUNT, 3, SIDE, SIDE], planes) })
    await session.release()
    const actual = scores?.numbers() as Float32Array
    const largest = Math.max(...expected.map(Math.abs))
    // Float32 against float64 through 14 layers.
    expected.forEach((e, i) => {
      expect(Math.abs(e - actual[i]!) / largest).toBeLessThan(1e-5)
    })
  })
})
