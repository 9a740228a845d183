import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { readModel, serializeModel } from '../../ir/index.ts'
import { evaluate } from '../evaluate.ts'
import { network, pictures } from './small-task.fixture.ts'
import { train } from './train.ts'
import { type TrainQatOptions, trainQat } from './train-qat.ts'

const engine = nodeEngine({ threads: 1 })
const test = pictures(150, 2)

const options = (): TrainQatOptions => ({
  engine,
  data: pictures(300, 1),
  evaluation: { data: test },
  ...{ epochs: 4, batchSize: 32, lr: 0.05 },
  quantization: { target: 'academic', scheme: 'w2a4', edgeBits: 2, calibration: { samples: 32 } },
})

const float = train(network(), { engine, data: pictures(300, 1), epochs: 10, batchSize: 32, lr: 0.2 })

describe('trainQat', () => {
  it('wins back what two bits lost, and gives back both networks', async () => {
    const { model } = await float
    const { report, qfloat, model: quantized, conversion } = await trainQat(model, options())
    const [before, after] = [report.before?.top1 ?? 0, report.after?.top1 ?? 0]
    expect(report.float?.top1).toBeGreaterThan(95)
    expect(before).toBeLessThan(report.float?.top1 ?? 0)
    expect(after).toBeGreaterThan(before)
    // What is deployed is what was trained: the outputs are float, one step apart at most.
    expect(conversion?.samples).toBe(128)
    for (const { within } of conversion?.outputs ?? []) expect(within).toBe(1)
    expect(report.quantized?.top1).toBeCloseTo(after, 0)
    const again = await evaluate(quantized, { engine, data: test })
    expect(again.metrics.top1).toBe(report.quantized?.top1)
    const saved = await evaluate(qfloat.model, { engine, data: test, load: { optimization: 'simulate' } })
    expect(saved.metrics.top1).toBe(after)
    for (const { metadata } of [quantized, qfloat.model]) {
      const { settings } = JSON.parse(metadata.get('fewbit.training') ?? '{}')
      expect(settings).toMatchObject({ target: 'academic', scheme: 'w2a4', lr: 0.05, batchNorm: 'fold-torch' })
    }
  })

  it('goes on from a file with fake-quantizers, and after a kill, to the last bit', async () => {
    const { model } = await float
    const whole = await trainQat(model, options())
    let kept: Uint8Array | undefined
    const controller = new AbortController()
    const save = async (bytes: Uint8Array) => {
      kept = bytes
      controller.abort(new Error('killed'))
    }
    const memory = { name: 'test', load: async () => kept, save }
    const killed = { ...options(), memory, checkpointSteps: 13, signal: controller.signal }
    await expect(trainQat(model, killed)).rejects.toThrow('killed')
    const rest = await trainQat(model, { ...options(), memory: { ...memory, save: async () => {} }, resume: true })
    expect(rest.report.history).toEqual(whole.report.history)
    expect(serializeModel(rest.model)).toEqual(serializeModel(whole.model))
    const file = readModel(serializeModel(whole.qfloat.model))
    const { quantization: _, ...more } = { ...options(), epochs: 1 }
    const on = await trainQat(file, more)
    expect(on.report.before?.top1).toBe(whole.report.after?.top1)
    await expect(trainQat(file, options())).rejects.toThrow(/QAT_PREPARED/)
  })
})
