import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { must } from '../util/index.ts'
import { evaluate } from './evaluate.ts'
import { produce } from './produce.ts'
import type { QuantizeOptions } from './quantize.ts'
import { Run } from './run.ts'

const engine = nodeEngine({ threads: 1 })
const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 12))

const made = (options: Partial<QuantizeOptions>) => {
  const given = { engine, smallLayers: 'integer', scheme: 'w4a8', calibration: { data, observer: 'minmax' } } as const
  return produce(fixture('residual'), { ...given, ...options }, new Run({ engine }))
}

describe('the worst layers in float', () => {
  it('are those with the largest errors when all others stay in float', async () => {
    const { plan } = await made({})
    const layers = plan.nodes.filter(({ macs }) => macs).map(({ node }) => node)
    const errors = await Promise.all(
      layers.map(async (node) => {
        const others = plan.nodes.filter((n) => n.node !== node && ['integer', 'quantized'].includes(n.decision))
        const { model } = await made({ floatNodes: others.map((n) => n.node) })
        const { metrics } = await evaluate(model, { engine, data, against: fixture('residual'), metrics: ['sqnr'] })
        return { node, sqnr: must(metrics.sqnr, 'sqnr') }
      }),
    )
    const worst = errors.sort((a, b) => a.sqnr - b.sqnr).map(({ node }) => node)
    expect(worst).toHaveLength(3)
    const { choice, plan: partial, recipe } = await made({ floatWorst: 2 })
    expect(choice.floatNodes).toEqual(worst.slice(0, 2))
    const kept = partial.nodes.filter(({ reason }) => reason.code === 'FLOAT_NODE').map(({ node }) => node)
    expect(new Set(kept)).toEqual(new Set(worst.slice(0, 2)))
    const again = await produce(fixture('residual'), { engine, recipe, calibration: { data } }, new Run({ engine }))
    expect(again.plan).toEqual(partial)
  })

  it('are none where the backend runs integers only', async () => {
    await expect(made({ target: 'tflite', scheme: 'w8a8', floatWorst: 1 })).rejects.toThrow(
      /FLOAT_WORST.*integers only/,
    )
  })
})
