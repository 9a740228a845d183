import { attribute } from '@fewbit/core/ir'
import { fakeQuantize, type QuantParams } from '@fewbit/core/quant'
import { describe, expect, it } from 'vitest'
import { quantizeSmall, SmallNet } from './quantize-small.ts'

const params = (result: Awaited<ReturnType<typeof quantizeSmall>>, value: string): QuantParams => {
  const group = result.plan.tensors.find((t) => t.value === value)?.group ?? value
  return result.params.get(group) as QuantParams
}

describe('the simulated QDQ graph', () => {
  it.each([0, 1])('of a Gemm with transB = %d equals fake quantization by hand', async (transB) => {
    const net = new SmallNet()
    const x = net.input('x', [3, 8])
    const [w, b] = [net.weight('w', transB ? [5, 8] : [8, 5]), net.weight('b', [5])]
    const weights = w.constant?.numbers() ?? []
    const bias = b.constant?.numbers() ?? []
    const y = net.op('Gemm', [x, w, b], { transB: attribute.int(transB) })
    const result = await quantizeSmall(net.model({ y }))
    const xq = fakeQuantize(result.feeds.x?.numbers() ?? [], params(result, 'x'))
    const wq = fakeQuantize(weights, params(result, 'w'), transB ? [5, 8] : [8, 5])
    const bq = fakeQuantize(bias, params(result, 'b'), [5])
    const got = result.simulated.y?.numbers() ?? []
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 5; j++) {
        let sum = bq[j] as number
        for (let k = 0; k < 8; k++) sum += (xq[i * 8 + k] as number) * (wq[transB ? j * 8 + k : k * 5 + j] as number)
        // Float32 sums of eight products near 1: a few units in the last place. One code of x or w would move 1e-3.
        expect(got[i * 5 + j]).toBeCloseTo(sum, 5)
      }
    }
  })
})
