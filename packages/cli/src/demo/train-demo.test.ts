import { evaluate } from '@fewbit/core/pipeline'
import { nodeEngine } from '@fewbit/engine-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { withFreshWeights } from './fresh-weights.ts'
import { pictureData } from './picture-data.ts'
import { renderTrainDemo } from './render-train-demo.ts'
import { demoModel } from './run-demo.ts'
import { type TrainDemoResult, trainDemo } from './train-demo.ts'

const engine = nodeEngine({ threads: 1 })

describe('withFreshWeights', () => {
  it('forgets what the network has learned, and keeps variances', async () => {
    const fresh = withFreshWeights(await demoModel(), 1)
    const { metrics } = await evaluate(fresh, { engine, data: pictureData('test', 256), metrics: ['top1'] })
    // Eight classes: 12.5 % are right by chance, with a standard error of 2 points. The trained network has 97 %.
    expect(metrics.top1).toBeLessThan(30)
    const stem = [...fresh.graph.nodes].find((node) => node.opType === 'Conv')?.inputs[1]?.constant
    const values = Array.from(stem?.numbers() ?? [])
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length
    // 432 draws: the standard error of a variance is 7 %.
    expect(variance / (2 / 27)).toBeGreaterThan(0.75)
    expect(variance / (2 / 27)).toBeLessThan(1.25)
  })
})

describe('trainDemo', () => {
  let result: TrainDemoResult
  beforeAll(async () => {
    result = await trainDemo({ engine, size: { pictures: 512, epochs: 3, quantizedEpochs: 1, test: 128 } })
  }, 120_000)

  it('learns, and what is converted scores as what was trained', () => {
    const { float, trained } = result
    const [first, , last] = float.report.history
    expect(last?.loss).toBeLessThan(first?.loss as number)
    expect(trained.report.quantized?.top1).toBeCloseTo(trained.report.after?.top1 as number, 5)
    expect(trained.conversion?.outputs[0]?.within).toBe(1)
  })

  it('tells five scores', () => {
    const text = renderTrainDemo(result, 'folder')
    expect(text.match(/\d+\.\d\d %/g)?.length).toBeGreaterThanOrEqual(5)
    expect(text).toContain('wrote folder')
  })
})
