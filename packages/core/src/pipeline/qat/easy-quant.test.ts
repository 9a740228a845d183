import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { parseModel, type Tensor, valuesByName } from '../../ir/index.ts'
import { fakeQuantize } from '../../quant/index.ts'
import { must, rng } from '../../util/index.ts'
import { easyQuant } from './easy-quant.ts'
import { prepareQat } from './prepare-qat.ts'
import { resetQuantizers } from './reset-quantizers.ts'

const engine = nodeEngine({ threads: 1 })
const random = rng(9)
/** Heavy tails: the best scale clips. */
const list = (count: number) => Array.from({ length: count }, () => (random.normal() ** 3).toFixed(5)).join()
const network = parseModel(`<ir_version = 8, opset_import = ["": 18]> main (float[N,6] x) => (float[N,4] y)
  <float[8,6] wa = {${list(48)}}, float[4,8] wb = {${list(32)}}> {
  [a] a = Gemm<transB = 1>(x, wa) r = Relu(a) [b] y = Gemm<transB = 1>(r, wb) }`)
const samples = normalData({ x: [1, 6] }, 12)
const data = memoryData(samples)
const prepare = () =>
  prepareQat(network, {
    engine,
    target: 'megengine',
    scheme: 'w4a4',
    preset: 'easyquant',
    tails: 'quantize',
    calibration: { data },
  })

const cosine = (a: Tensor, b: Tensor) => {
  const [x, y] = [Array.from(a.numbers(), Number), Array.from(b.numbers(), Number)]
  const dot = (p: readonly number[], q: readonly number[]) => p.reduce((sum, v, i) => sum + v * (q[i] as number), 0)
  return dot(x, y) / (Math.sqrt(dot(x, x) * dot(y, y)) || 1)
}

describe('easyQuant', () => {
  it('finds for the network’s input the factor that a plain search finds', async () => {
    const qfloat = await prepare()
    const { found, model } = await easyQuant(qfloat, { engine, data, samples: 12 })
    const record = must(
      qfloat.record.quantizers.find((q) => q.group === 'x'),
      'x',
    )
    const values = valuesByName(qfloat.model.graph)
    const [scale, zero] = record.inputs.map(({ initializer }) =>
      Number(must(values.get(initializer)?.constant, initializer).numbers()[0]),
    )
    const score = (factor: number) => {
      const params = {
        spec: record.spec,
        scale: [Math.fround((scale as number) * factor)],
        zeroPoint: [zero as number],
      }
      const cosines = samples.map(({ x }) => {
        const float = must(x, 'x')
        const rounded = fakeQuantize(Float64Array.from(float.numbers(), Number), params)
        return cosine(float, (float.constructor as typeof Tensor).float32(float.dims, rounded))
      })
      return cosines.reduce((a, b) => a + b, 0) / cosines.length
    }
    const factors = [1, ...Array.from({ length: 40 }, (_, i) => 0.8 + (0.4 * i) / 39)]
    const best = factors.reduce((a, b) => (score(b) > score(a) ? b : a))
    expect(found[0]).toMatchObject({ group: 'x', factor: best })
    expect(found[0]?.after).toBeCloseTo(score(best), 6)
    const set = valuesByName(model.graph).get(must(record.inputs[0], 'scale').initializer)?.constant?.numbers()[0]
    expect(set).toBe(Math.fround((scale as number) * best))
  })

  it('searches weights before what they make, and never for the worse', async () => {
    const { found } = await easyQuant(await prepare(), { engine, data, samples: 12 })
    expect(found.map(({ group }) => group)).toEqual(['x', 'wa', 'r', 'wb', 'y'])
    for (const { before, after } of found) expect(after).toBeGreaterThanOrEqual(before)
    expect(found.some(({ factor }) => factor !== 1)).toBe(true)
  })

  it('brings the output nearer to the float network’s', async () => {
    const qfloat = await prepare()
    const searched = await easyQuant(qfloat, { engine, data, samples: 12 })
    const mean = async (model: typeof network) => {
      const each = await Promise.all(
        samples.map(async (feeds) =>
          cosine(
            must((await runModel(engine, network, feeds)).y, 'y'),
            must((await runModel(engine, model, feeds)).y, 'y'),
          ),
        ),
      )
      return each.reduce((a, b) => a + b, 0) / each.length
    }
    expect(await mean(searched.model)).toBeGreaterThan(await mean(qfloat.model))
  })

  it('needs scales that can be set', async () => {
    const other = resetQuantizers(await prepare(), { fakeQuantizer: 'pact' })
    await expect(easyQuant(other, { engine, data })).rejects.toThrow(/QAT_EASYQUANT/)
  })
})
