import { nodeEngine } from '@fewbit/engine-node'
import { FIXTURE_NAMES, fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { asTensor } from '../../ir/index.ts'
import { quantize } from '../../pipeline/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedAlgorithm } from '../algorithm.ts'
import { biasedLayers } from '../linear-bias.ts'
import { calibrationBatches, floatMeans, type LayerMeans, meansByLevel, quantizedMeans } from './index.ts'

const engine = nodeEngine({ threads: 1 })

/** Measures in three ways and changes nothing. */
async function measured(name: (typeof FIXTURE_NAMES)[number], target: string) {
  const found: { float?: LayerMeans; whole?: LayerMeans; levels: LayerMeans[] } = { levels: [] }
  const probe: QuantizedAlgorithm<Record<never, never>> = {
    name: 'probe',
    title: 'Probe',
    stage: 'finish',
    summary: 'measures',
    source: 'none',
    options: {},
    needsData: true,
    ownBiases: true,
    async apply(cx) {
      const options = {
        layers: biasedLayers(cx.model, cx.ops),
        batches: await calibrationBatches(cx, 16),
        squares: true,
      }
      found.float = await floatMeans(cx, options)
      found.whole = await quantizedMeans(cx, options)
      for await (const means of meansByLevel(cx, options)) found.levels.push(means)
      return { changed: [] }
    },
  }
  const model = fixture(name)
  const dims = (asTensor(model.graph.inputs[0]?.type)?.shape ?? []).map((d) => (typeof d === 'number' ? d : 1))
  await quantize(model, {
    engine,
    target,
    calibration: { data: memoryData(normalData({ x: dims }, 16)), observer: 'minmax' },
    extensions: [{ name: 'probing', algorithms: [probe] }],
    algorithms: ['probe'],
  })
  return { whole: must(found.whole, 'means'), float: must(found.float, 'means'), levels: found.levels }
}

describe('means of layer outputs', () => {
  for (const name of FIXTURE_NAMES) {
    it(`are the same measured level by level and in the whole network: ${name}`, async () => {
      const { whole, levels } = await measured(name, 'academic')
      const parts = new Map(levels.flatMap((level) => [...level]))
      expect([...parts.keys()].sort()).toEqual([...whole.keys()].sort())
      for (const [node, means] of parts) {
        const other = must(whole.get(node), node)
        // Sums in other orders, on values of about 1; a code that flips by them is 1/64 of a mean of 16 samples or less.
        for (const [c, m] of means.mean.entries()) expect(m).toBeCloseTo(other.mean[c]!, 2)
        for (const [c, v] of means.variance.entries()) {
          expect(Math.sqrt(v)).toBeCloseTo(Math.sqrt(other.variance[c]!), 2 - Math.log10(1 + Math.abs(other.mean[c]!)))
        }
      }
    })
  }

  it('come in levels of layers that do not see each other', async () => {
    const { levels } = await measured('branches', 'academic')
    expect(levels.map((level) => level.size)).toEqual([2, 1])
  })
})
