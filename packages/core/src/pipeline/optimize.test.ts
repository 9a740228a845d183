import { nodeEngine } from '@fewbit/engine-node'
import { fixture, outputError, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { serializeModel } from '../ir/index.ts'
import { optimize } from './optimize.ts'

const engine = nodeEngine({ threads: 1 })

describe('optimize', () => {
  it('shrinks a copy to the same outputs and says what it did', async () => {
    const model = fixture('convolutional')
    const bytes = serializeModel(model)
    const { model: slim, before, after, trace, seconds } = await optimize(model, { engine })
    expect(Buffer.compare(serializeModel(model), bytes)).toBe(0)
    expect(before.operators).toMatchObject({ BatchNormalization: 1, Conv: 1 })
    expect(after.operators).toEqual({ Conv: 1, Flatten: 1, Gemm: 1, GlobalAveragePool: 1, MaxPool: 1, Relu: 1 })
    expect([before.nodes, after.nodes]).toEqual([7, 6])
    expect([...slim.graph.nodes]).toHaveLength(6)
    const feeds = randomFeeds(model, 3)
    // Folding rounds each weight once more: 2^-24 relative in sums of 27 products; 1e-5 is far below any wrong fold.
    expect(outputError(await runModel(engine, model, feeds), await runModel(engine, slim, feeds))).toBeLessThan(1e-5)
    const fold = trace.find((event) => event.pass === 'fold-batchnorm')
    expect(fold).toMatchObject({ kind: 'fired', text: expect.stringContaining('folded into Conv') })
    expect(Object.keys(seconds)).toEqual(['inspect', 'optimize'])
  })

  it('runs the passes that are asked for and no others', async () => {
    const found = await optimize(fixture('convolutional'), { engine, passes: ['dead-code'] })
    expect(found.after.operators).toEqual(found.before.operators)
    expect(found.trace).toEqual([])
  })

  it('names the passes when one does not exist', async () => {
    const error = await optimize(fixture('convolutional'), { engine, passes: ['dead-cod'] }).catch((e) => e)
    expect(error.code).toBe('PASS_UNKNOWN')
    expect(error.diagnostics[0].fix).toMatch(/^choose from .*dead-code/)
  })

  it('stops with the signal’s reason', async () => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    expect(await optimize(fixture('residual'), { engine, signal }).catch((e) => e)).toBe(reason)
  })
})
