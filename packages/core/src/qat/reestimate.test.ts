import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { qatOps } from '../fake-quantizers/index.ts'
import { parseModel, valuesByName } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { prepareQat } from '../pipeline/index.ts'
import { must, rng } from '../util/index.ts'
import type { BatchNormName } from './batch-norm/index.ts'
import { reestimate } from './reestimate.ts'

const engine = nodeEngine({ threads: 1 })
const ops = qatOps(defaultOps)
const random = rng(3)
const list = (count: number) => Array.from({ length: count }, () => (random.normal() * 0.4).toFixed(4)).join()

/** Two normalized layers; neither's statistics fit. */
const network = parseModel(`<ir_version = 8, opset_import = ["": 18]> main (float[N,2,4,4] x) => (float[N,3,4,4] y)
  <float[3,2,1,1] w1 = {${list(6)}}, float[3] s1 = {1, 2, 0.5}, float[3] o1 = {0, 1, 0}, float[3] m1 = {5, 5, 5}, float[3] v1 = {4, 1, 2},
   float[3,3,1,1] w2 = {${list(9)}}, float[3] s2 = {1, 1, 1}, float[3] o2 = {0, 0, 0}, float[3] m2 = {1, 1, 1}, float[3] v2 = {3, 3, 3}> {
    a = Conv(x, w1) n = BatchNormalization<momentum = 0.75>(a, s1, o1, m1, v1) r = Relu(n)
    c = Conv(r, w2) y = BatchNormalization<momentum = 0.75>(c, s2, o2, m2, v2) }`)
const batches = [0, 1, 2].map((seed) => ({ feeds: must(normalData({ x: [8, 2, 4, 4] }, 1, seed)[0], 'feeds') }))
const prepare = (batchNorm: BatchNormName) =>
  prepareQat(network, {
    engine,
    ...{ target: 'tensorrt', scheme: 'w8', batchNorm, fakeQuantizer: 'fixed' },
    calibration: { data: memoryData(normalData({ x: [1, 2, 4, 4] }, 4)) },
  })

/** Mean and unbiased variance of each channel of a batch, averaged over batches. Layers by float weights, which 8 bits hardly change. */
async function expected() {
  const probe = parseModel(
    `<ir_version = 8, opset_import = ["": 18]> main (float[N,2,4,4] x, float[3,2,1,1] w) => (float[N,3,4,4] y) { y = Conv(x, w) }`,
  )
  const w = must(valuesByName(network.graph).get('w1')?.constant, 'w1')
  const sums = [0, 1, 2].map(() => ({ mean: 0, variance: 0 }))
  for (const { feeds } of batches) {
    const y = must((await runModel(engine, probe, { ...feeds, w })).y, 'y').numbers()
    for (const [c, sum] of sums.entries()) {
      const own = Array.from(y, Number).filter((_, i) => Math.floor(i / 16) % 3 === c)
      const mean = own.reduce((s, v) => s + v, 0) / own.length
      sum.mean += mean / batches.length
      sum.variance += own.reduce((s, v) => s + (v - mean) ** 2, 0) / (own.length - 1) / batches.length
    }
  }
  return sums
}

describe('reestimate', () => {
  it.each(['none', 'fold-torch', 'naive-fold', 'white-paper-fold'] as const)(
    'gives BatchNormalization the averages of batches, whatever it had (%s)',
    async (batchNorm) => {
      const { qfloat, changed } = await reestimate(await prepare(batchNorm), { engine, ops, batches })
      expect(changed).toBe(4)
      const values = valuesByName(qfloat.model.graph)
      const numbers = (name: string) => Array.from(must(values.get(name)?.constant, name).numbers(), Number)
      for (const [c, { mean, variance }] of (await expected()).entries()) {
        // Weights of 8 bits are within half a step, 1/254 of the largest.
        expect(numbers('m1')[c]).toBeCloseTo(mean, 1)
        expect(Math.abs((numbers('v1')[c] as number) / variance - 1)).toBeLessThan(0.03)
      }
      // The second layer reads what the first one makes on statistics of the batch: normalized, scaled, and nothing of the mean of 5.
      for (const v of numbers('v2')) expect(v).toBeLessThan(2)
    },
  )

  it('leaves statistics alone that training keeps', async () => {
    const before = await prepare('freeze')
    const { qfloat, changed } = await reestimate(before, { engine, ops, batches })
    expect([changed, qfloat]).toEqual([0, before])
  })
})
